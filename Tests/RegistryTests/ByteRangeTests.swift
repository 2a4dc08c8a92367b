import Testing

@testable import Registry

/// RFC 9110, 14.1.2 and 14.2.
struct ByteRangeTests {
    @Test(
        "the examples of the specification, of 10,000 bytes",
        arguments: [
            ("bytes=0-499", 0, 500), ("bytes=500-999", 500, 1_000), ("bytes=-500", 9_500, 10_000), ("bytes=9500-", 9_500, 10_000),
            ("bytes=0-0", 0, 1), ("bytes=-1", 9_999, 10_000), ("bytes=0-", 0, 10_000), ("bytes=9999-9999", 9_999, 10_000),
            // An end beyond the content is the content's end.
            ("bytes=9500-10000", 9_500, 10_000), ("bytes=0-99999", 0, 10_000), ("bytes=-10000", 0, 10_000),
            ("bytes=-10001", 0, 10_000), ("bytes=000-0499", 0, 500),
            ("bytes=0-9223372036854775807", 0, 10_000), ("bytes=0-9223372036854775808", 0, 10_000),
            ("bytes=1-18446744073709551616", 1, 10_000), ("bytes=-9223372036854775807", 0, 10_000),
            ("bytes=-9223372036854775808", 0, 10_000), ("bytes=-18446744073709551616", 0, 10_000),
        ] as [(String, Int64, Int64)])
    func parts(_ header: String, _ first: Int64, _ end: Int64) {
        #expect(ByteRange(header, size: 10_000) == .part(first: first, end: end))
    }

    @Test(
        "A: range overflow: beyond the content there is nothing",
        arguments: [
            "bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=-00", "bytes=9223372036854775807-",
            "bytes=9223372036854775808-",
            "bytes=18446744073709551616-", "bytes=9223372036854775807-9223372036854775807",
            "bytes=18446744073709551616-18446744073709551617",
        ])
    func unsatisfiable(_ header: String) {
        #expect(ByteRange(header, size: 10_000) == .unsatisfiable)
    }

    @Test(
        "A: range overflow: malformed, several or other ranges are ignored",
        arguments: [
            nil, "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=9999-0", "bytes=a-b", "bytes=0-b", "bytes=1",
            "bytes=1-2-3",
            "bytes=--1", "bytes=1--2", "bytes=+1-2", "bytes=1-+2", "bytes=-+5", "bytes=0x0-5", "bytes=1e3-", "bytes=1.0-2",
            "bytes= 0-4",
            "bytes=0 - 4", "bytes=0-4 ", " bytes=0-4", "bytes =0-4", "bytes=0-4,5-9", "bytes=0-0,-1", "bytes=0-4,", "bytes=,0-4",
            "bytes=0-4;5-9", "items=0-4", "seconds=0-4", "bytes:0-4", "bytes 0-4", "bytes=\u{661}-\u{662}", "bytes=0-4\u{0}",
            "bytes=0\u{2212}4", "=0-4",
        ] as [String?])
    func whole(_ header: String?) {
        #expect(ByteRange(header, size: 10_000) == .whole)
    }

    @Test("A: range overflow: a thousand ranges are ignored")
    func many() {
        #expect(ByteRange("bytes=" + (0..<1_000).map { "\($0)-\($0)" }.joined(separator: ","), size: 10_000) == .whole)
    }

    @Test("of no bytes nothing can be asked", arguments: ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-"])
    func empty(_ header: String) {
        #expect(ByteRange(header, size: 0) == .unsatisfiable)
    }

    @Test("the largest content")
    func largest() {
        #expect(ByteRange("bytes=0-", size: .max) == .part(first: 0, end: .max))
        #expect(ByteRange("bytes=-1", size: .max) == .part(first: .max - 1, end: .max))
        #expect(ByteRange("bytes=9223372036854775806-", size: .max) == .part(first: .max - 1, end: .max))
        #expect(ByteRange("bytes=9223372036854775807-", size: .max) == .unsatisfiable)
        #expect(ByteRange("bytes=1-18446744073709551616", size: .max) == .part(first: 1, end: .max))
    }
}
