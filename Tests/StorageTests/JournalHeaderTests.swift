import OCI
import Testing

@testable import Storage

struct JournalHeaderTests {
    @Test(
        "a file without a header is unreadable",
        arguments: [
            [], [0x0A], [UInt8](repeating: 0, count: 5_000), Array(JournalLineTests.pin.utf8) + [0x0A],
            Array((JournalLineTests.header.replacing("42", with: "43") + "\n").utf8),
            Array(("\n" + JournalLineTests.header + "\n").utf8), Array("{}\n".utf8),
        ] as [[UInt8]])
    func noHeader(_ bytes: [UInt8]) throws {
        let outcome = try JournalReplayTests.replay(bytes)
        #expect(outcome.replay.damage == .unreadable)
        #expect(outcome.replay.header == nil)
        #expect(outcome.records.isEmpty)
    }

    @Test("a header alone is an empty journal")
    func headerOnly() throws {
        let outcome = try JournalReplayTests.replay(Array((JournalLineTests.header + "\n").utf8))
        #expect(outcome.replay.damage == .none)
        #expect(outcome.replay.header?.generation == 42)
        #expect(outcome.replay.goodEnd == Int64(JournalLineTests.header.utf8.count + 1))
    }

    // python3: zlib.crc32 of everything before `,"c"`.
    @Test(
        "a newer format is refused",
        arguments: [
            #"{"amargo":"journal","format":2,"minReader":2,"g":1,"store":"4f6c1b0e","live":0,"c":"68d21a76"}"#,
            #"{"amargo":"journal","format":1,"minReader":2,"g":1,"store":"4f6c1b0e","live":0,"c":"224b6d02"}"#,
        ])
    func newer(_ header: String) throws {
        #expect(Array(header.utf8).withUnsafeBytes { JournalLine.isIntact($0) })
        let error = #expect(throws: StorageError.self) { try JournalReplayTests.replay(Array((header + "\n").utf8)) }
        #expect(error?.code == .tooNew)
    }

    @Test("another store's journal is refused")
    func otherStore() throws {
        let bytes = Array((JournalLineTests.header + "\n").utf8)
        let error = #expect(throws: StorageError.self) { try JournalReplayTests.replay(bytes, store: "00000000") }
        #expect(error?.code == .unusable)
        #expect(error?.message.contains("4f6c1b0e") == true)
    }

    @Test("an unknown line is handed over; one that must not be ignored is reported", arguments: [false, true])
    func unknown(_ isRequired: Bool) throws {
        let payload = Array("\"op\":\"future\",\"x\":[1,2]\(isRequired ? ",\"req\":true" : "")".utf8)
        let bytes =
            JournalLine.header(generation: 1, store: "4f6c1b0e", live: 0)
            + JournalLine.encode(generation: 1, sequence: 1, payload: payload)
        let outcome = try JournalReplayTests.replay(bytes)
        #expect(outcome.replay.damage == .none)
        #expect(outcome.records == [.unknown(payload: payload, required: isRequired)])
        #expect(outcome.replay.hasRequiredUnknown == isRequired)
    }

    @Test("a manifest over several lines is one record; with one of them lost it is just content")
    func edges() throws {
        let children = try (0..<1_000).map { Edge(role: .layer, digest: try Sample.digest($0), size: 1) }
        let record = JournalRecord.manifest(
            try Sample.digest(7), ManifestFacts(mediaType: .ociManifest, children: children, subject: nil), size: 9,
            repository: nil, at: 4)
        var lines = record.payloads().enumerated().map {
            JournalLine.encode(generation: 1, sequence: Int64($0.offset + 1), payload: $0.element)
        }
        let header = JournalLine.header(generation: 1, store: "4f6c1b0e", live: 0)
        #expect(lines.count > 5)
        #expect(try JournalReplayTests.replay(header + Array(lines.joined())).records == [record])
        lines.remove(at: 2)
        let outcome = try JournalReplayTests.replay(header + Array(lines.joined()))
        #expect(outcome.replay.damage == .gap)
        #expect(outcome.records == [.blob(try Sample.digest(7), size: 9, repository: nil, at: 4)])
    }
}
