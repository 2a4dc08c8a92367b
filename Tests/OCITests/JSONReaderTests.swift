import OCI
import Testing

/// RFC 8259, value by value; whole documents are in `JSONVerdictTests`.
struct JSONReaderTests {
    @Test(
        "equal keys, however they are spelled",
        arguments: [
            "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":1,\"\\u0061\":2}", "{\"\\u0061\":1,\"a\":2}",
            "{\"x\":{\"a\":1,\"a\":2}}", "[{\"a\":1,\"a\":2}]", "{\"\":1,\"\":2}", "{\"/\":1,\"\\/\":2}",
        ])
    func refusesEqualKeys(_ text: String) {
        let error = #expect(throws: JSONError.self) { try Self.skim(Array(text.utf8)) }
        #expect(error?.description.contains("twice") == true)
    }

    @Test("an equal key is found among many", arguments: [15, 16, 17, 18, 1_000])
    func equalKeyAmongMany(_ count: Int) {
        for repeated in [0, count - 1] {
            let members = (0..<count).map { "\"k\($0)\":0" } + ["\"k\(repeated)\":1"]
            let text = "{\(members.joined(separator: ","))}"
            #expect(throws: JSONError.self) { try Self.skim(Array(text.utf8)) }
        }
    }

    @Test("a control character must be escaped", arguments: Array(UInt8(0)..<0x20))
    func refusesControls(_ byte: UInt8) {
        #expect(throws: JSONError.self) { try Self.skim([0x22, byte, 0x22]) }
        #expect(throws: JSONError.self) { try Self.skim([0x22, 0x5C, 0x6E, byte, 0x22]) }  // behind an escape
    }

    @Test(
        "escapes",
        arguments: [
            ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{C}\n\r\t"),
            ("\"\\u0041\\u00e9\\u00E9\\u20ac\"", "Aéé€"),
            ("\"\\ud83d\\ude00\"", "\u{1F600}"),
            ("\"\\uD834\\uDD1E\"", "\u{1D11E}"),  // RFC 8259, 7: the G clef
            ("\"\\uDBFF\\uDFFF\"", "\u{10FFFF}"),
            ("\"a\\u0000b\"", "a\u{0}b"),
            ("\"é\\n€\"", "é\n€"),
        ])
    func escapes(_ text: String, _ expected: String) throws {
        #expect(try Self.read(text) { try $0.string() } == expected)
    }

    @Test(
        "whole numbers to the limits of 64 bits",
        arguments: [
            ("0", 0), ("-0", 0), ("7", 7), ("-7", -7), (" 42 ", 42), ("9223372036854775807", .max),
            ("-9223372036854775808", .min),
        ] as [(String, Int64)])
    func integers(_ text: String, _ expected: Int64) throws {
        #expect(try Self.read(text) { try $0.integer() } == expected)
    }

    @Test(
        "no other number is an integer",
        arguments: [
            "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "1.0", "1e2", "1E0", "0.5", "01", "-01",
            "-",
            "+1", "\"1\"", "true", "null", "[1]",
        ])
    func refusesIntegers(_ text: String) {
        #expect(throws: JSONError.self) { try Self.read(text) { try $0.integer() } }
    }

    @Test("64 levels are read, 65 are not")
    func depth() throws {
        try Self.skim(Array((String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).utf8))
        try Self.skim(Array((String(repeating: "{\"a\":", count: 64) + "1" + String(repeating: "}", count: 64)).utf8))
        for text in [
            String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
            String(repeating: "{\"a\":", count: 65) + "1" + String(repeating: "}", count: 65),
            String(repeating: "[", count: 100_000),
            String(repeating: "{\"a\":[", count: 50_000),
        ] {
            let error = #expect(throws: JSONError.self) { try Self.skim(Array(text.utf8)) }
            #expect(error?.description.contains("64 levels") == true)
        }
    }

    @Test("levels that were left do not count")
    func depthIsNotCumulative() throws {
        try Self.skim(Array(("[" + String(repeating: "[],{},", count: 1_000) + "1]").utf8))
    }

    @Test("a hundred thousand keys, elements and escapes are read")
    func large() throws {
        let count = 100_000
        var keys = 0
        let object = "{\((0..<count).map { "\"key \($0)\":\($0)" }.joined(separator: ","))}"
        try Self.read(object) { reader in
            try reader.object { reader, _ in
                try reader.skipValue()
                keys += 1
            }
        }
        #expect(keys == count)
        let array = "[\((0..<count).map(String.init).joined(separator: ","))]"
        var sum: Int64 = 0
        try Self.read(array) { reader in try reader.array { sum += try $0.integer() } }
        #expect(sum == 4_999_950_000)
        let text = "\"\(String(repeating: "\\n", count: count))\""
        #expect(try Self.read(text) { try $0.string() }.utf8.count == count)
    }

    @Test("the caller's own kind is checked")
    func kinds() throws {
        #expect(throws: JSONError.self) { try Self.read("[]") { try $0.object { reader, _ in try reader.skipValue() } } }
        #expect(throws: JSONError.self) { try Self.read("{}") { try $0.array { try $0.skipValue() } } }
        #expect(throws: JSONError.self) { try Self.read("1") { try $0.string() } }
        #expect(throws: JSONError.self) { try Self.read("1") { try $0.boolean() } }
        #expect(try Self.read("true") { try $0.boolean() })
        #expect(try Self.read(" false") { try $0.boolean() } == false)
    }

    private static func skim(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { bytes in try JSONReader.read(bytes) { try $0.skipValue() } }
    }

    private static func read<T>(_ text: String, _ body: (inout JSONReader) throws -> T) throws -> T {
        try Array(text.utf8).withUnsafeBytes { try JSONReader.read($0, body) }
    }
}
