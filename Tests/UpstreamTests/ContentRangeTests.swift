import Testing

@testable import Upstream

/// RFC 9110, 14.4.
struct ContentRangeTests {
    @Test(
        "the examples of the specification, and the limits",
        arguments: [
            ("bytes 42-1233/1234", 42, 1_233, 1_234), ("bytes 42-1233/*", 42, 1_233, nil), ("bytes 0-499/1234", 0, 499, 1_234),
            ("bytes 500-999/1234", 500, 999, 1_234), ("bytes 734-1233/1234", 734, 1_233, 1_234), ("bytes 0-0/1", 0, 0, 1),
            ("bytes 0-9223372036854775806/9223372036854775807", 0, 9_223_372_036_854_775_806, .max),
        ] as [(String, Int64, Int64, Int64?)])
    func reads(_ text: String, _ first: Int64, _ last: Int64, _ size: Int64?) throws {
        let range = try #require(ContentRange(parsing: text))
        #expect(range.first == first)
        #expect(range.last == last)
        #expect(range.size == size)
    }

    @Test(
        "everything else is none",
        arguments: [
            "", "bytes", "bytes ", "bytes */1234", "bytes */*", "bytes 0-499", "bytes 0-499/", "bytes 0-/1234", "bytes -499/1234",
            "bytes 5-4/10", "bytes 0-10/10", "bytes 10-10/10", "bytes -1-4/10", "bytes +0-4/10", "bytes 0-+4/10", "bytes 0-4/+10",
            "bytes 0-4/-10", "bytes 0-4/10/11", "bytes 0-4-5/10", "bytes 0 - 4/10", "bytes  0-4/10", "bytes 0-4/10 ",
            " bytes 0-4/10",
            "bytes=0-4/10", "items 0-4/10", "bytes 0x0-4/10", "bytes 0-4/ten", "bytes 0-\u{664}/10",
            "bytes 0-9223372036854775808/*", "bytes 0-4/18446744073709551616",
        ])
    func refuses(_ text: String) {
        #expect(ContentRange(parsing: text) == nil)
    }
}
