import OCI
import Testing

@testable import Storage

struct JournalRecordTests {
    /// Writes a record as lines and reads what the lines mean, as a replay does.
    private static func roundTrip(_ record: JournalRecord) throws -> (records: [JournalRecord], lines: [[UInt8]]) {
        var edges: [Digest: [Edge]] = [:]
        var records: [JournalRecord] = []
        var lines: [[UInt8]] = []
        for (index, payload) in record.payloads().enumerated() {
            var line = JournalLine.encode(generation: 5, sequence: Int64(index + 1), payload: payload)
            lines.append(line)
            #expect(line.popLast() == 0x0A)
            try line.withUnsafeBytes { line in
                #expect(JournalLine.isIntact(line))
                let entry = try #require(JournalEntry(parsing: line))
                #expect(entry.generation == 5)
                #expect(entry.sequence == Int64(index + 1))
                switch entry.meaning(line: line, earlierEdges: { edges[$0] ?? [] }) {
                case .edges(let digest, let more, _): edges[digest, default: []] += more
                case .record(let record): records.append(record)
                case nil: Issue.record("a line has no meaning")
                }
            }
        }
        return (records, lines)
    }

    private static func samples() throws -> [JournalRecord] {
        let digest = try Digest(parsing: "sha256:\(Sample.abcHex)")
        let long = try Digest(parsing: "sha512:\(Sample.abc512Hex)")
        let repository = try Sample.repository("a/b__c/d-e", in: "registry.local:5000")
        let tag = try Tag(parsing: "v1.0_x-y")
        let facts = ManifestFacts(
            mediaType: .ociIndex,
            children: [
                Edge(role: .manifest, digest: digest, size: 7, platform: "linux/arm/v7"),
                Edge(role: .manifest, digest: long, size: .max, platform: "odd \"é\\\n\u{1F600}"),
                Edge(role: .config, digest: digest, size: 0), Edge(role: .layer, digest: digest, size: 1),
                Edge(role: .foreignLayer, digest: digest, size: 2), Edge(role: .blob, digest: digest, size: 3),
            ], subject: long)
        let empty = ManifestFacts(mediaType: .dockerManifest, children: [], subject: nil)
        return [
            .blob(digest, size: 3, repository: repository, at: 1_764_000_000), .blob(long, size: 0, repository: nil, at: 0),
            .manifest(digest, facts, size: 4_194_304, repository: repository, at: 1_764_000_000),
            .manifest(long, empty, size: 2, repository: nil, at: 0), .link(digest, repository),
            .tag(tag, repository, digest, fetchedAt: 1_764_000_000), .importedTag(tag, repository, digest, at: 1_764_000_001),
            .untag(tag, repository), .use(long, at: 9_999_999_999), .use(digest, at: 0, pulls: 123_456_789_012),
            .delete(digest), .deleted(long), .unlink(long, repository), .pin(.tag(tag), repository, at: 1_764_000_000),
            .pin(.digest(long), repository, at: 0), .unpin(.tag(tag), repository), .unpin(.digest(digest), repository),
        ]
    }

    @Test("every record is read as it was written", arguments: 0..<17)
    func everyRecord(_ index: Int) throws {
        let record = try Self.samples()[index]
        let (records, lines) = try Self.roundTrip(record)
        #expect(records == [record])
        #expect(lines.count == 1)
    }

    @Test("a thousand children take several lines of at most 16 KiB", arguments: ["sha256", "sha512"])
    func manyChildren(_ algorithm: String) throws {
        let children = try (0..<1_000).map { number in
            let hex = String(number, radix: 16)
            let width = algorithm == "sha256" ? 64 : 128
            let digest = try Digest(parsing: "\(algorithm):" + String(repeating: "0", count: width - hex.count) + hex)
            // The longest platform that is kept, and the longest way to write it.
            return Edge(
                role: .foreignLayer, digest: digest, size: .max,
                platform: number % 2 == 0 ? String(repeating: "\u{7F}", count: 128) : nil)
        }
        let repository = try Sample.repository(String(repeating: "a", count: 255), in: String(repeating: "b.", count: 127) + "c")
        let record = JournalRecord.manifest(
            try Digest(parsing: "sha512:\(Sample.abc512Hex)"),
            ManifestFacts(
                mediaType: .ociArtifact, children: children, subject: try Digest(parsing: "sha512:\(Sample.abc512Hex)")),
            size: 4_194_304, repository: repository, at: .max)
        let (records, lines) = try Self.roundTrip(record)
        #expect(records == [record])
        #expect(lines.count > 5)
        #expect(lines.allSatisfy { $0.count <= 16_384 })
    }

    @Test("with a line of children lost, the manifest is just content")
    func lostEdges() throws {
        let digest = try Sample.digest(1)
        let children = try (0..<1_000).map { Edge(role: .layer, digest: try Sample.digest($0), size: 1) }
        let record = JournalRecord.manifest(
            digest, ManifestFacts(mediaType: .ociManifest, children: children, subject: nil), size: 9, repository: nil, at: 4)
        var line = JournalLine.encode(generation: 1, sequence: 1, payload: try #require(record.payloads().last))
        line.removeLast()
        let meaning = line.withUnsafeBytes { JournalEntry(parsing: $0)?.meaning(line: $0, earlierEdges: { _ in [] }) }
        guard case .record(let read) = meaning else {
            Issue.record("the line means \(String(describing: meaning))")
            return
        }
        #expect(read == .blob(digest, size: 9, repository: nil, at: 4))
    }

    @Test("what a newer version wrote is kept as it is", arguments: [(later, false), (required, true)])
    func unknown(_ text: String, _ isRequired: Bool) throws {
        let line = Array(text.utf8)
        let entry = try #require(line.withUnsafeBytes { JournalEntry(parsing: $0) })
        #expect(entry.isRequired == isRequired)
        guard case .record(let record) = line.withUnsafeBytes({ entry.meaning(line: $0, earlierEdges: { _ in [] }) }),
            case .unknown(let payload, isRequired) = record
        else {
            Issue.record("not read as unknown")
            return
        }
        #expect(record.payloads() == [payload])
        let again = JournalLine.encode(generation: entry.generation, sequence: entry.sequence, payload: payload)
        #expect(String(decoding: again, as: UTF8.self) == text + "\n")
    }

    // python3: zlib.crc32 of everything before `,"c"`.
    private static let later = #"{"g":1,"q":5,"op":"later","repo":"docker.io/library/nginx","at":7,"c":"4670f127"}"#
    private static let required = #"{"g":1,"q":5,"op":"future","x":[1,2],"req":true,"c":"a8504ede"}"#

    @Test("the pin of the journal's specification is read as one")
    func specifiedPin() throws {
        let line = Array(JournalLineTests.pin.utf8)
        guard
            case .record(let record) = line.withUnsafeBytes({
                JournalEntry(parsing: $0)?.meaning(line: $0, earlierEdges: { _ in [] })
            })
        else {
            Issue.record("not read as a record")
            return
        }
        #expect(record == .pin(.tag(try Tag(parsing: "1.27")), try Sample.repository(), at: 1_764_000_000))
    }

    @Test(
        "a known operation without what it needs means nothing",
        arguments: [
            #""op":"blob""#, #""op":"blob","d":"sha256:\#(Sample.abcHex)""#,
            #""op":"blob","d":"sha256:\#(Sample.abcHex)","size":-1"#,
            #""op":"manifest","d":"sha256:\#(Sample.abcHex)","size":1,"n":0"#, #""op":"link","d":"sha256:\#(Sample.abcHex)""#,
            #""op":"tag","repo":"docker.io/a","d":"sha256:\#(Sample.abcHex)""#,
            #""op":"tag","repo":"docker.io/a","ref":"../x","d":"sha256:\#(Sample.abcHex)""#, #""op":"untag","ref":"x""#,
            #""op":"use""#, #""op":"delete""#, #""op":"deleted""#,
        ])
    func senseless(_ payload: String) throws {
        let line = JournalLine.encode(generation: 1, sequence: 1, payload: Array(payload.utf8)).dropLast()
        line.withUnsafeBytes { line in
            #expect(JournalLine.isIntact(line))
            #expect(JournalEntry(parsing: line)?.meaning(line: line, earlierEdges: { _ in [] }) == nil)
        }
    }

    @Test(
        "an entry with a malformed field is none",
        arguments: [
            #""op":"delete","d":"md5:00""#, #""op":"link","repo":"A","d":"sha256:\#(Sample.abcHex)""#, #""op":1"#,
            #""op":"use","d":"sha256:\#(Sample.abcHex)","at":1.5"#, #""op":"x","op":"y""#, #""op":"x","req":1"#, #""op":"x""}"#,
            #""op":"edges","d":"sha256:\#(Sample.abcHex)","kids":[["layer"]]"#,
            #""op":"edges","d":"sha256:\#(Sample.abcHex)","kids":[["parent","sha256:\#(Sample.abcHex)",1]]"#,
        ])
    func malformed(_ payload: String) {
        let line = JournalLine.encode(generation: 1, sequence: 1, payload: Array(payload.utf8)).dropLast()
        line.withUnsafeBytes { line in
            #expect(JournalLine.isIntact(line))
            #expect(JournalEntry(parsing: line) == nil)
        }
    }

    @Test("generation and sequence number are part of an entry", arguments: ["{\"q\":1,\"op\":\"x\"", "{\"g\":1,\"op\":\"x\""])
    func numbers(_ start: String) {
        let line = Array((start + ",\"c\":\"00000000\"}").utf8)
        #expect(line.withUnsafeBytes { JournalEntry(parsing: $0) } == nil)
    }
}
