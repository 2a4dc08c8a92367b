import OCI
import Testing

/// RELIABILITY.md, "JSON read two ways": documents, and whether they are believed.
///
/// What RFC 8259 does not allow is refused, and beyond it whatever two of its readers may understand differently: a byte
/// order mark (8.1 lets a reader ignore it), equal keys (4), lone surrogates (8.2), more than 64 levels (9). What is taken,
/// Python's `json` takes as well; what it refuses is refused.
struct JSONVerdictTests {
    // MARK: - Taken

    private static let values = [
        "{}", "[]", "0", "-0", "7", "null", "true", "false", "\"\"", "\"a\"", "[null,true,false]", "[[]]", "[{}]", "{\"a\":{}}",
        "{\"a\":[]}", "[1,\"2\",[3],{\"4\":5}]", "{\"\":1}", "{\"a\":1,\"b\":2}", "{\"a\":null}",
    ]

    private static let numbers = [
        "0.1", "-0.1", "1e5", "1E5", "1e+5", "1e-5", "-1.5e+10", "10.0E5", "0e0", "0.0", "1E400", "-1e-400",
        "9223372036854775807",
        "9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "123456789012345678901234567890123456789012345678901",
        "0.30000000000000000000000000000000000000000000000001",
    ]

    private static let strings = [
        #""\"""#, #""\\""#, #""\/""#, "\"/\"", #""\b\f\n\r\t""#, #""\u0000""#, #""\u0041""#, #""\u00e9\u00E9""#,
        #""\uABCD\uabcd""#,
        #""\ud83d\ude00""#, #""\uDBFF\uDFFF""#, #""\uFEFF""#, #""\uFFFF""#, "\"\u{7F}\"", "\"\u{80}\"", "\"é\"", "\"e\u{301}\"",
        "\"\u{2028}\u{2029}\"", "\"\u{FEFF}\"", "\"\u{FFFF}\"", "\"\u{10FFFF}\"", "\"\u{202E}\"", "\"//\"", "\"/* */\"", "\"'\"",
        "\"a\u{A0}b\"",
    ]

    private static let spaces = [
        " {}", "{} ", "\n{}\n", "\r\n{}\r\n", "\t{}\t", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "[ ]", "{ }", "[1 ,2]", "[\n1\n]",
    ]

    /// Keys that differ, however alike they look.
    private static let differentKeys = [
        "{\"a\":1,\"A\":2}", "{\"a\":1,\"a \":2}", "{\"a\":1,\"\":2}", "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
        "[{\"a\":1},{\"a\":1}]",
        "{\"a\":1,\"а\":2}", "{\"a\":1,\"ａ\":2}", "{\"s\":1,\"ſ\":2}", "{\"a\":1,\"a\u{200B}\":2}", "{\"a\":1,\"\\u0000a\":2}",
        "{\"1\":1,\"01\":2}", "{\"/\":1,\"//\":2}",
    ]

    private static let depths = [
        String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
        String(repeating: "{\"a\":", count: 64) + "1" + String(repeating: "}", count: 64),
        String(repeating: "[{\"a\":", count: 32) + "0" + String(repeating: "}]", count: 32),
        "[" + String(repeating: "[],", count: 500) + "[]]",
    ]

    // MARK: - Refused by RFC 8259

    private static let incomplete = [
        "", " ", "\n", "{", "}", "[", "]", "[1", "[1,", "[1 2", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "[[]", "[{}",
        "{\"a\":[}",
        "{\"a\":1]", "[1}", "\"", "\"a", #""\"#, #""\""#, #""\u""#, "-", "t", "tru", "nul", "fals",
    ]

    private static let commas = [
        "[,]", "[1,]", "[,1]", "[1,,2]", "{,}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}", "{\"a\":1 \"b\":2}", "[1 2]",
        "{\"a\" 1}", "{\"a\":}", "{\"a\"}", "{:1}", "{\"a\"::1}", "{\"a\",1}", "[1;2]", "[\"a\":1]", "{\"a\":1;\"b\":2}",
    ]

    private static let words = [
        "True", "TRUE", "Null", "NULL", "None", "undefined", "nulll", "falsee", "truefalse", "yes", "a", "{a:1}", "{null:1}",
        "{1:2}",
        "{true:1}", "NaN", "Infinity", "-Infinity", "inf", "nan",
    ]

    private static let malformedNumbers = [
        "01", "-01", "00", "-00", "0123", "1.", ".5", "-.5", "1.e5", "1e", "1E", "1e+", "1e-", "1e+-1", "1e1.5", "+1", "--1",
        "-+1", "-a",
        "0x10", "0b1", "0o7", "1_000", "1 000", "1,0", "1.2.3", "1e2e3", "1f", "1L", "$1", "½", "１", "\u{661}", "1\u{301}",
    ]

    private static let quotes = [
        "'a'", "{'a':1}", "{\"a\":'b'}", "`a`", "\u{201C}a\u{201D}", "«a»", "\"a'", "'a\"", #"\"a\""#, #"{\"a\":1}"#,
    ]

    private static let comments = [
        "//x\n1", "1//x", "/**/1", "1/**/", "{/**/}", "[1,//x\n2]", "#x\n1", "1#x", "<!---->1", "{}--", ";1", "%1",
    ]

    private static let escapes = [
        #""\a""#, #""\v""#, #""\0""#, #""\'""#, #""\x41""#, #""\U0041""#, #""\u12""#, #""\u12G4""#, #""\u+123""#, #""\u 123""#,
        #""\u{41}""#, "\"\\u\u{FF11}234\"", "\"\\\n\"", "\"\\\u{0}\"", "\"\\é\"", #""\u004""#, #""\ud83d\ude0""#,
    ]

    private static let foreignSpaces = [
        "\u{A0}1", "1\u{A0}", "\u{2028}1", "\u{3000}1", "\u{B}1", "\u{C}1", "\u{85}1", "\u{200B}1", "1\u{0}", "\u{0}", "\u{0}{}",
        "{}\u{0}",
        "{\u{0}}", "[1,\u{0}2]", "\u{1A}", "{}\u{1A}",
    ]

    private static let trailing = [
        "{}{}", "{} {}", "{}\n{}", "{}x", "[],", "1 2", "\"a\"\"b\"", "null null", "{}]", "[]}", "{};", "{}\u{1E}{}", "\u{1E}{}",
        "1,",
        "true,false", ")]}',\n{}", "a({})",
    ]

    private static let controls = (UInt8(0)..<0x20).map { [0x22, $0, 0x22] }

    /// RFC 8259, 8.1: UTF-8 and nothing else.
    private static let encodings: [[UInt8]] = [
        [0xFE, 0xFF, 0x00, 0x7B, 0x00, 0x7D],  // UTF-16, big-endian, with its mark
        [0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00],  // little-endian
        [0x00, 0x7B, 0x00, 0x7D], [0x7B, 0x00, 0x7D, 0x00],  // both without
        [0x00, 0x00, 0x00, 0x31], [0x31, 0x00, 0x00, 0x00], [0xFF, 0xFE, 0x00, 0x00, 0x31, 0x00, 0x00, 0x00],  // UTF-32
        [0x2B, 0x2F, 0x76, 0x38, 0x2D, 0x7B, 0x7D],  // UTF-7's mark
        [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xC1, 0x81, 0x22], [0x22, 0xE0, 0x80, 0xAF, 0x22],
        [0x22, 0xF0, 0x80, 0x80, 0xAF, 0x22],  // overlong
        [0x22, 0xC0, 0x80, 0x22],  // Java's NUL
        // Surrogates, alone and as CESU-8 pairs them
        [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80, 0x22],
        [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xF8, 0x88, 0x80, 0x80, 0x80, 0x22], [0x22, 0xFF, 0x22],  // beyond U+10FFFF
        [0x22, 0xC3, 0x22], [0x22, 0xE2, 0x82, 0x22], [0x22, 0xF0, 0x9F, 0x98, 0x22], [0x22, 0xC3],  // cut short
        [0x22, 0x80, 0x22], [0x22, 0xE9, 0x22], [0x7B, 0x7D, 0xFF], [0xFF, 0x7B, 0x7D], [0x7B, 0xA0, 0x7D],  // Latin-1, or alone
    ]

    // MARK: - Refused by our own rule

    private static let equalKeys = [
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"a\":3}", "{\"\":1,\"\":2}", "{\"a\":{},\"a\":[]}", "{\"x\":{\"a\":1,\"a\":2}}",
        "[{\"a\":1,\"a\":2}]", #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"a":2}"#, #"{"/":1,"\/":2}"#, #"{"é":1,"\u00e9":2}"#,
        #"{"\ud83d\ude00":1,"😀":2}"#, #"{"\u0000":1,"\u0000":2}"#, #"{"\n":1,"\u000a":2}"#, "{\"a\":{\"a\":1},\"b\":1,\"a\":2}",
        // Equal to whoever compares text as Unicode asks for, one of them Swift.
        "{\"é\":1,\"e\u{301}\":2}", "{\"K\":1,\"\u{212A}\":2}",
    ]

    private static let loneSurrogates = [
        #""\ud83d""#, #""\ud83dx""#, #""\ude00""#, #""\ude00\ud83d""#, #""\ud83d\ud83d""#, #""\ud83d\u0041""#, #""\ud83d\n""#,
        #"{"\ud800":1}"#, #"["\uDFFF"]"#,
    ]

    private static let marks = [
        "{\"\u{FEFF}\":1}", "{\"\u{FEFF}subject\":1}", #"{"\uFEFFsubject":1}"#,
        "\u{FEFF}{}", "\u{FEFF}", "\u{FEFF}\u{FEFF}{}", " \u{FEFF}{}", "{}\u{FEFF}", "{\u{FEFF}}", "\u{FFFE}{}",
    ]

    private static let tooDeep = [
        String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
        String(repeating: "{\"a\":", count: 65) + "1" + String(repeating: "}", count: 65),
        String(repeating: "[{\"a\":", count: 33) + "0" + String(repeating: "}]", count: 33),
        "{\"a\":1,\"b\":" + String(repeating: "[", count: 64) + String(repeating: "]", count: 64) + "}",
        "[[],[[],[" + String(repeating: "[", count: 62) + String(repeating: "]", count: 62) + "]]]",
    ]

    // MARK: - Verdicts

    private static func bytes(_ texts: [String]...) -> [[UInt8]] { texts.joined().map { Array($0.utf8) } }

    static let taken = Self.bytes(values, numbers, strings, spaces, differentKeys, depths)
    static let refused =
        Self.bytes(incomplete, commas, words, malformedNumbers, quotes, comments, escapes, foreignSpaces, trailing) + controls
        + encodings
    static let refusedByUs = Self.bytes(equalKeys, loneSurrogates, marks, tooDeep)

    @Test("there are two hundred documents at least, each once")
    func number() {
        let all = Self.taken + Self.refused + Self.refusedByUs
        #expect(all.count >= 200)
        #expect(Set(all).count == all.count)
    }

    @Test("taken: what RFC 8259 allows and every reader understands alike", arguments: Self.taken)
    func takes(_ document: [UInt8]) throws {
        #expect(throws: Never.self, "\(String(decoding: document, as: UTF8.self))") { try Self.skim(document) }
    }

    @Test("refused: what RFC 8259 does not allow", arguments: Self.refused)
    func refuses(_ document: [UInt8]) {
        #expect(throws: JSONError.self, "\(String(decoding: document, as: UTF8.self))") { try Self.skim(document) }
    }

    @Test("refused: what two readers may understand differently", arguments: Self.refusedByUs)
    func refusesAmbiguous(_ document: [UInt8]) {
        #expect(throws: JSONError.self, "\(String(decoding: document, as: UTF8.self))") { try Self.skim(document) }
    }

    @Test("what is refused as a document is refused as a manifest, with its type and by its own word")
    func manifests() {
        let rest = "\"schemaVersion\":2,\"manifests\":[]"
        for (index, document) in (Self.refused + Self.refusedByUs).enumerated() where !document.isEmpty {
            let bytes = Array("{\(rest),\"x\":".utf8) + document + Array("}".utf8)
            // A comma or a bracket may make it whole again; those are judged above.
            guard (try? Self.skim(bytes)) == nil else { continue }
            #expect(throws: ManifestError.self, "document \(index)") {
                try bytes.withUnsafeBytes { try Manifest(parsing: $0, as: .ociIndex) }
            }
            #expect(bytes.withUnsafeBytes { Manifest.declaredType(of: $0) } == nil)
        }
    }

    private static func skim(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { bytes in try JSONReader.read(bytes) { try $0.skipValue() } }
    }
}
