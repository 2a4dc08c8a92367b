import OCI
import Testing

struct VisibleTextTests {
    @Test(
        "what a terminal would obey and what nobody can see is written out",
        arguments: [
            ("linux/amd64", "linux/amd64"), ("a\u{1B}[31mb", "a\\u{1b}[31mb"), ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("\u{202E}cba", "\\u{202e}cba"), ("caf\u{E9}", "caf\u{E9}"),
        ])
    func escaped(_ text: String, _ expected: String) {
        #expect(VisibleText.escaped(text) == expected)
    }
}
