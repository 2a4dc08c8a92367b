import Glibc
import OCI
import TestSupport
import Testing

@testable import Storage

/// The recovery table of RELIABILITY.md §3.5, row by row.
struct JournalReplayTests {
    /// A journal in memory: the header, then one tag a line.
    struct File {
        static let store = "4f6c1b0e"
        var lines: [[UInt8]]

        init(_ count: Int, generation: Int64 = 1) throws {
            self.lines = [JournalLine.header(generation: generation, store: Self.store, live: 0)]
            for number in 1...count {
                let payloads = try JournalReplayTests.record(number).payloads()
                self.lines.append(
                    JournalLine.encode(generation: generation, sequence: Int64(number), payload: payloads[0]))
            }
        }

        var bytes: [UInt8] { Array(self.lines.joined()) }
    }

    /// Short, because a debug build reads many millions of bytes here.
    static func record(_ number: Int) throws -> JournalRecord {
        .untag(try Tag(parsing: "t\(number)"), try Sample.repository("c", in: "a.b"))
    }

    struct Outcome {
        let replay: JournalReplay
        let records: [JournalRecord]
        /// How many records stood before the first gap.
        let trusted: Int
    }

    /// Replays bytes from a file that lives in memory.
    static func replay(_ bytes: [UInt8], store: String = File.store) throws -> Outcome {
        let descriptor = try Disk.unnamedFile(holding: bytes)
        defer { close(descriptor) }
        var records: [JournalRecord] = []
        var trusted = 0
        let replay = try JournalReplay.read(descriptor, store: store) { record, isBehindGap in
            records.append(record)
            if !isBehindGap { trusted += 1 }
        }
        return Outcome(replay: replay, records: records, trusted: trusted)
    }

    static func records(_ numbers: some Sequence<Int>) throws -> [JournalRecord] { try numbers.map { try Self.record($0) } }

    @Test("a whole file")
    func whole() throws {
        let file = try File(200)
        let outcome = try Self.replay(file.bytes)
        #expect(outcome.replay.damage == .none)
        #expect(try outcome.records == Self.records(1...200))
        #expect(outcome.trusted == 200)
        #expect(outcome.replay.lastSequence == 200)
        #expect(outcome.replay.goodEnd == Int64(file.bytes.count))
        #expect(outcome.replay.size == Int64(file.bytes.count))
        #expect(outcome.replay.skippedLines == 0)
        #expect(outcome.replay.header?.generation == 1)
    }

    @Test("cut at every byte of 200 lines: exactly the complete lines count", arguments: 0..<10)
    func cutEverywhere(_ part: Int) throws {
        // Ten files of 20 lines, since every cut reads all lines before it.
        let file = try File(20, generation: Int64(10 * part + 1))
        try Self.check(file, cuts: 0...file.bytes.count)
    }

    @Test("cut around every line's end of a file of 200 lines")
    func cutAtLineEnds() throws {
        let file = try File(200)
        let ends = Self.ends(of: file)
        try Self.check(file, cuts: ends.flatMap { [$0 - 1, $0, $0 + 1] }.filter { $0 <= file.bytes.count })
        try Self.check(file, cuts: ends[198]...ends[200])
    }

    private static func ends(of file: File) -> [Int] {
        var ends: [Int] = []
        for line in file.lines { ends.append((ends.last ?? 0) + line.count) }
        return ends
    }

    private static func check(_ file: File, cuts: some Sequence<Int>) throws {
        let bytes = file.bytes
        let all = try Self.records(1..<file.lines.count)
        let ends = Self.ends(of: file)
        for cut in cuts {
            let outcome = try Self.replay(Array(bytes[..<cut]))
            let complete = ends.prefix { $0 <= cut }.count
            guard complete > 0 else {
                guard outcome.replay.damage == .unreadable, outcome.records.isEmpty else {
                    Issue.record("cut at \(cut), before the header's end: \(outcome.replay)")
                    return
                }
                continue
            }
            let isClean = ends.contains(cut)
            guard outcome.replay.damage == (isClean ? .none : .tornTail), outcome.records.elementsEqual(all.prefix(complete - 1)),
                outcome.replay.goodEnd == Int64(ends[complete - 1]), outcome.replay.lastSequence == Int64(complete - 1)
            else {
                Issue.record("cut at \(cut), \(complete) complete lines: \(outcome.replay), \(outcome.records.count) records")
                return
            }
        }
    }

    @Test("every bit flipped: nothing is applied that nobody wrote")
    func flipEverywhere() throws {
        let file = try File(20)
        var bytes = file.bytes
        let headerEnd = file.lines[0].count
        let lastStart = bytes.count - (file.lines.last?.count ?? 0)
        let written = try Set(Self.records(1...20))
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let outcome = try Self.replay(bytes)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let expected: JournalReplay.Damage =
                bit / 8 < headerEnd ? .unreadable : bit / 8 >= lastStart ? .tornTail : .gap
            let isRight =
                expected == .unreadable
                ? outcome.records.isEmpty : written.isSuperset(of: outcome.records) && (18...19).contains(outcome.records.count)
            // A flip in the line end before the last line takes both lines with it, so nothing valid is left behind it.
            guard isRight, outcome.replay.damage == expected || bit / 8 == lastStart - 1 && outcome.replay.damage == .tornTail
            else {
                Issue.record("bit \(bit): \(outcome.replay), \(outcome.records.count) records, expected \(expected)")
                return
            }
        }
    }

    @Test("NUL bytes behind the last line", arguments: [1, 16, 4_096, 16_383, 16_384, 16_385, 1 << 20, 2_500_000])
    func nulTail(_ count: Int) throws {
        let file = try File(10)
        let outcome = try Self.replay(file.bytes + [UInt8](repeating: 0, count: count))
        #expect(outcome.replay.damage == .tornTail)
        #expect(try outcome.records == Self.records(1...10))
        #expect(outcome.replay.goodEnd == Int64(file.bytes.count))
        #expect(outcome.replay.size == Int64(file.bytes.count + count))
    }

    @Test("NUL bytes, then lines that were glued to them or follow them")
    func nulMiddle() throws {
        let file = try File(10)
        let nul = [UInt8](repeating: 0, count: 100)
        let glued = try Self.replay(Array(file.lines[..<6].joined()) + nul + Array(file.lines[6...].joined()))
        #expect(glued.replay.damage == .gap)
        #expect(try glued.records == Self.records([1, 2, 3, 4, 5, 7, 8, 9, 10]))
        #expect(glued.trusted == 5)
        #expect(glued.replay.goodEnd == Int64(file.lines[..<6].joined().count))
    }

    @Test("a deleted line is a gap", arguments: 1...9)
    func deleted(_ number: Int) throws {
        var file = try File(10)
        file.lines.remove(at: number)
        let outcome = try Self.replay(file.bytes)
        #expect(outcome.replay.damage == .gap)
        #expect(try outcome.records == Self.records((1...10).filter { $0 != number }))
        #expect(outcome.trusted == number - 1)
        #expect(outcome.replay.goodEnd == Int64(file.lines[..<number].joined().count))
    }

    @Test("a doubled line is a gap", arguments: 1...9)
    func doubled(_ number: Int) throws {
        var file = try File(10)
        file.lines.insert(file.lines[number], at: number)
        let outcome = try Self.replay(file.bytes)
        #expect(outcome.replay.damage == .gap)
        #expect(try outcome.records == Self.records(1...10))
        #expect(outcome.trusted == number)
    }

    @Test("swapped lines are a gap, and the highest number wins", arguments: 1...8)
    func swapped(_ number: Int) throws {
        var file = try File(10)
        file.lines.swapAt(number, number + 1)
        let outcome = try Self.replay(file.bytes)
        #expect(outcome.replay.damage == .gap)
        #expect(try outcome.records == Self.records((1...10).filter { $0 != number }))
        #expect(outcome.replay.lastSequence == 10)
    }

    @Test("a line of another generation is skipped")
    func foreignGeneration() throws {
        var file = try File(10)
        file.lines[5] = try File(10, generation: 2).lines[5]
        let outcome = try Self.replay(file.bytes)
        #expect(outcome.replay.damage == .gap)
        #expect(try outcome.records == Self.records((1...10).filter { $0 != 5 }))
        #expect(outcome.trusted == 4)
    }

    @Test("lines of another generation behind the last are no torn tail: somebody wrote them")
    func foreignTail() throws {
        let file = try File(10)
        let outcome = try Self.replay(file.bytes + Array(File(20, generation: 2).lines[11...].joined()))
        #expect(outcome.replay.damage == .gap)
        #expect(outcome.trusted == 10)
        #expect(try outcome.records == Self.records(1...10))
        #expect(outcome.replay.goodEnd == Int64(file.bytes.count))
    }

    @Test("garbage before, between and behind", arguments: [1 << 10, 2 << 20])
    func garbage(_ count: Int) throws {
        let file = try File(10)
        let garbage = Fixtures.pseudoRandomBytes(count: count, seed: 1)
        let only = try Self.replay(garbage)
        #expect(only.replay.damage == .unreadable)
        #expect(only.records.isEmpty)
        let before = try Self.replay(garbage + [0x0A] + file.bytes)
        #expect(before.replay.damage == .unreadable)
        #expect(before.records.isEmpty)
        let between = try Self.replay(Array(file.lines[..<6].joined()) + garbage + [0x0A] + Array(file.lines[6...].joined()))
        #expect(between.replay.damage == .gap)
        #expect(try between.records == Self.records(1...10))
        #expect(between.trusted == 5)
        let behind = try Self.replay(file.bytes + garbage)
        #expect(behind.replay.damage == .tornTail)
        #expect(try behind.records == Self.records(1...10))
        #expect(behind.replay.goodEnd == Int64(file.bytes.count))
    }

    @Test("a line that is too long is skipped, whatever it says", arguments: [16_385, 65_536, 3_000_000])
    func longLine(_ length: Int) throws {
        let file = try File(10)
        let overhead = JournalLine.encode(generation: 1, sequence: 6, payload: Array("\"op\":\"x\",\"y\":\"\"".utf8)).count
        let payload = "\"op\":\"x\",\"y\":\"\(String(repeating: "y", count: length - overhead))\""
        let long = JournalLine.encode(generation: 1, sequence: 6, payload: Array(payload.utf8))
        #expect(long.count == length)
        let outcome = try Self.replay(Array((file.lines[..<6] + [long] + file.lines[6...]).joined()))
        #expect(outcome.replay.damage == .gap)
        #expect(try outcome.records == Self.records(1...10))
        let last = try Self.replay(file.bytes + long)
        #expect(last.replay.damage == .tornTail)
        #expect(try last.records == Self.records(1...10))
    }
}
