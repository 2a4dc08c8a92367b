import OCI

@testable import Storage

/// Journals written by the letter of RELIABILITY.md §3.1, without the code under test.
struct JournalText {
    static let store = "4f6c1b0e"

    /// The header first, each with its LF.
    var lines: [[UInt8]]
    /// What each line after the header says.
    let records: [JournalRecord]

    /// A journal with lines of every kind in turn; those of another `first` say other things.
    init(_ count: Int, first: Int = 0, generation: Int = 7, store: String = Self.store) throws {
        var lines = [
            Self.sealed(#"{"amargo":"journal","format":1,"minReader":1,"g":\#(generation),"store":"\#(store)","live":0"#)
        ]
        var records: [JournalRecord] = []
        for number in 0..<count {
            let (members, record) = try Self.line(first + number)
            lines.append(Self.sealed(#"{"g":\#(generation),"q":\#(number + 1),\#(members)"#))
            records.append(record)
        }
        self.lines = lines
        self.records = records
    }

    var bytes: [UInt8] { Array(self.lines.joined()) }

    /// The offset behind each line.
    var ends: [Int] {
        var end = 0
        return self.lines.map { line in
            end += line.count
            return end
        }
    }

    /// A line with its checksum and LF.
    static func sealed(_ body: String) -> [UInt8] { Self.sealed(Array(body.utf8)) }

    static func sealed(_ body: [UInt8]) -> [UInt8] {
        let hex = String(Self.checksum(body), radix: 16)
        return body + Array(#","c":"\#(String(repeating: "0", count: 8 - hex.count))\#(hex)"}"#.utf8) + [0x0A]
    }

    /// CRC-32 of ISO 3309, reflected: polynomial 0xEDB88320.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var value = UInt32.max
        for byte in bytes { value = value >> 8 ^ Self.table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
        return ~value
    }

    private static let table: [UInt32] = (0..<256).map { number in
        (0..<8).reduce(UInt32(number)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
    }

    /// The members of one line, and what they mean. `J` and `*` become an LF when the right bit flips.
    private static func line(_ number: Int) throws -> (members: String, record: JournalRecord) {
        let hex = String(repeating: "e", count: 60) + String(1_000 + number)
        let digest = try Digest(parsing: "sha256:\(hex)")
        let long = try Digest(parsing: "sha512:\(hex)\(hex)")
        let repository = try Sample.repository("j/k\(number)", in: "a.b")
        let at = Int64(1_764_000_000 + number)
        switch number % 9 {
        case 0:
            return (
                #""op":"blob","d":"sha256:\#(hex)","size":\#(number),"repo":"a.b/j/k\#(number)","at":\#(at)"#,
                .blob(digest, size: Int64(number), repository: repository, at: at)
            )
        case 1: return (#""op":"link","d":"sha256:\#(hex)","repo":"a.b/j/k\#(number)""#, .link(digest, repository))
        case 2, 3:
            return (
                #""op":"tag","repo":"a.b/j/k\#(number)","ref":"J\#(number)","d":"sha256:\#(hex)","at":\#(at)"#,
                .tag(try Tag(parsing: "J\(number)"), repository, digest, fetchedAt: at)
            )
        case 4:
            return (
                #""op":"manifest","d":"sha256:\#(hex)","size":5,"type":"application/vnd.oci.image.index.v1+json","#
                    + #""subject":"sha256:\#(hex)","n":1,"kids":[["manifest","sha256:\#(hex)",7,"linux/arm"]],"at":\#(at)"#,
                .manifest(
                    digest,
                    ManifestFacts(
                        mediaType: .ociIndex,
                        children: [Edge(role: .manifest, digest: digest, size: 7, platform: "linux/arm")],
                        subject: digest), size: 5, repository: nil, at: at)
            )
        case 5 where number % 2 == 0:
            return (
                #""op":"use","d":"sha256:\#(hex)","at":\#(at),"n":\#(number + 1)"#, .use(digest, at: at, pulls: Int64(number) + 1)
            )
        case 5: return (#""op":"use","d":"sha256:\#(hex)","at":\#(at)"#, .use(digest, at: at))
        case 6:
            return (
                #""op":"untag","repo":"a.b/j/k\#(number)","ref":"J\#(number)""#,
                .untag(try Tag(parsing: "J\(number)"), repository)
            )
        case 7: return (#""op":"deleted","d":"sha512:\#(hex)\#(hex)""#, .deleted(long))
        default:
            let payload = #""op":"future","x":["**",{}]"#
            return (payload, .unknown(payload: Array(payload.utf8), required: false))
        }
    }
}
