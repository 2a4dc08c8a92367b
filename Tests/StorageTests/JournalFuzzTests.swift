import OCI
import TestSupport
import Testing

@testable import Storage

extension ThoroughJournalTests {
    /// A hundred thousand lines that nobody wrote: none traps, and the fast reader says what the general one says.
    struct JournalFuzzTests {
        private static let words = [
            #""d":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#, #""op":"blob""#,
            #""op":"manifest""#,
            #""op":"edges""#, #""op":"tag""#, #""op":"link""#, #""op":"use""#, #""op":"x""#, #""op":"""#, #""req":true"#,
            #""req":false"#, #""kids":[]"#, #""kids":[["layer","sha256:"#, #"["blob","#, #"["parent","#, #""n":0"#, #""n":1"#,
            #""size":1"#, #""at":0"#, #""ref":"J""#, #""ref":"\u004a""#, #""repo":"a.b/c""#, #""repo":"docker.io/A""#,
            #""type":"a/b; c""#, #""type":"A/b""#, #""subject":"sha512:"#, #""x":{"y":[null,true,-1.5e9]}"#, #"\u0041"#,
            #"\ud800"#,
            #"\""#, #"\"#, "\"", "{", "}", "[", "]", ":", ",", " ", "\t", "null", "é", "\u{0}", "\u{7F}", ",\"c\":\"00000000\"",
        ]

        @Test("mutated lines", arguments: 0..<4 as Range<UInt64>)
        func mutated(_ seed: UInt64) throws {
            var mutator = ByteMutator(seed: seed, words: Self.words)
            let lines = try JournalText(36).lines.map { Array($0.dropLast()) }
            var names = JournalNames()
            var plainCount = 0
            var entryCount = 0
            for number in 0..<25_000 {
                var line = lines[mutator.number(below: lines.count)]
                let original = line
                mutator.mutate(&line)
                let isIntact = line.withUnsafeBytes { JournalLine.isIntact($0) }
                guard !isIntact || line == original else { return Self.fail(line, number, "intact") }
                // The checksum is right for what stands before its place, so that the readers get to see it.
                line = Array(JournalText.sealed(Array(line.dropLast(16))).dropLast())
                guard line.withUnsafeBytes({ JournalLine.isIntact($0) }) else { continue }

                var plain = JournalEntry()
                var any = JournalEntry()
                let isPlain = line.withUnsafeBytes { plain.read(plain: $0, names: &names) }
                let isEntry = line.withUnsafeBytes { any.read(any: $0) }
                if isPlain {
                    plainCount += 1
                    guard isEntry, plain == any else { return Self.fail(line, number, "read in two ways: \(plain), \(any)") }
                }
                if isEntry {
                    entryCount += 1
                    guard Self.isWrittenAsRead(any, line) else { return Self.fail(line, number, "written otherwise than read") }
                }
                _ = line.withUnsafeBytes { JournalLine.header($0) }
            }
            // Else the test proves little.
            #expect(plainCount > 2_000)
            #expect(entryCount > plainCount + 500)
        }

        /// Whether a line that is written for what another says, says the same.
        private static func isWrittenAsRead(_ entry: JournalEntry, _ line: [UInt8]) -> Bool {
            guard case .record(let record) = line.withUnsafeBytes({ entry.meaning(line: $0, earlierEdges: { _ in [] }) }),
                let payload = record.payloads().last
            else { return true }
            let again = JournalLine.encode(generation: entry.generation, sequence: entry.sequence, payload: payload)
            let meaning = again.dropLast().withUnsafeBytes { line in
                JournalLine.isIntact(line) ? JournalEntry(parsing: line)?.meaning(line: line, earlierEdges: { _ in [] }) : nil
            }
            guard case .record(let reread) = meaning else { return false }
            return reread == record
        }

        private static func fail(_ line: [UInt8], _ number: Int, _ problem: String) {
            Issue.record("input \(number), \(String(decoding: line, as: UTF8.self)): \(problem)")
        }

        @Test(
            "whole files with damage in several places: nothing is applied that nobody wrote", arguments: 0..<4 as Range<UInt64>)
        func files(_ seed: UInt64) throws {
            let text = try JournalText(40)
            let written = Set(text.records)
            var mutator = ByteMutator(
                seed: seed + 100, words: Self.words + ["\n", "\n\n", String(repeating: "\u{0}", count: 300)])
            for number in 0..<250 {
                var bytes = text.bytes
                for _ in 0..<3 { mutator.mutate(&bytes) }
                let outcome = try JournalReplayTests.replay(bytes)
                guard written.isSuperset(of: outcome.records), outcome.replay.size == Int64(bytes.count),
                    bytes.prefix(Int(outcome.replay.goodEnd)) == text.bytes.prefix(Int(outcome.replay.goodEnd))
                else {
                    Issue.record("input \(number): \(outcome.replay)")
                    return
                }
            }
        }
    }
}
