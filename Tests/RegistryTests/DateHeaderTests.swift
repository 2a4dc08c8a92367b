import Testing

@testable import Registry

/// RFC 9110, 5.6.7. Seconds by `date -u -d … +%s`.
struct DateHeaderTests {
    @Test(
        "dates as HTTP writes them",
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_709_210_096, "Thu, 29 Feb 2024 12:34:56 GMT"), (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
            (1_785_542_399, "Fri, 31 Jul 2026 23:59:59 GMT"),
        ])
    func format(_ seconds: Int, _ expected: String) {
        #expect(DateHeader.format(seconds) == expected)
    }

    @Test("the header's value has the form of the specification")
    func header() {
        let text = DateHeader().header
        #expect(text.wholeMatch(of: /(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/) != nil)
    }
}
