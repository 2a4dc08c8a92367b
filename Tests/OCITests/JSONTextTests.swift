import OCI
import Testing

struct JSONTextTests {
    @Test(
        "text becomes ASCII that nothing takes for something else",
        arguments: [
            ("", "\"\""), ("a b", "\"a b\""), ("\"\\/", "\"\\\"\\\\/\""), ("\n\r\t\u{0}", "\"\\u000a\\u000d\\u0009\\u0000\""),
            ("\u{7F}\u{1B}[31m", "\"\\u007f\\u001b[31m\""), ("é", "\"\\u00e9\""), ("\u{1F600}", "\"\\ud83d\\ude00\""),
            ("\u{202E}x", "\"\\u202ex\""),
        ])
    func quotes(_ text: String, _ expected: String) {
        #expect(JSONText.quoted(text) == expected)
    }
}
