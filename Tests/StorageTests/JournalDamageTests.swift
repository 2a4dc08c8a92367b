import Foundation
import Glibc
import OCI
import TestSupport
import Testing

@testable import Storage

extension ThoroughJournalTests {
    /// P13: a journal damaged at every place, against what RELIABILITY.md §3.5 says of it.
    struct JournalDamageTests {
        /// What a replay must find.
        struct Expectation {
            let damage: JournalReplay.Damage
            let records: [JournalRecord]
            /// Records before the first gap.
            let trusted: Int
            /// The offset up to which everything is valid.
            let goodEnd: Int

            static let unreadable = Expectation(damage: .unreadable, records: [], trusted: 0, goodEnd: 0)
        }

        struct Mismatch: Error, CustomStringConvertible {
            let description: String
        }

        private static func check(_ descriptor: CInt, _ expected: Expectation, _ what: @autoclosure () -> String) throws {
            var records: [JournalRecord] = []
            var trusted = 0
            let replay = try JournalReplay.read(descriptor, store: JournalText.store) { record, isBehindGap in
                records.append(record)
                if !isBehindGap { trusted += 1 }
            }
            guard replay.damage == expected.damage, records == expected.records, trusted == expected.trusted,
                replay.goodEnd == Int64(expected.goodEnd)
            else {
                throw Mismatch(
                    description:
                        "\(what()): \(replay.damage), \(records.count) records, \(trusted) trusted, good to \(replay.goodEnd); "
                        + "expected \(expected.damage), \(expected.records.count), \(expected.trusted), \(expected.goodEnd)")
            }
        }

        private static func check(_ lines: [[UInt8]], _ expected: Expectation, _ what: String) throws {
            let descriptor = try Disk.unnamedFile(holding: Array(lines.joined()))
            defer { close(descriptor) }
            try Self.check(descriptor, expected, what)
        }

        @Test("cut at every byte of 200 lines, 20 to a file: exactly the complete lines count", arguments: 0..<10)
        func cuts(_ part: Int) throws {
            let text = try JournalText(20, first: part * 20)
            try Self.checkCuts(text, 0...text.bytes.count)
        }

        /// Every cut reads all lines before it, which takes a debug build a minute.
        @Test(
            "cut at every byte of a file of 200 lines",
            .enabled(if: ProcessInfo.processInfo.environment["AMARGO_LONG_TESTS"] == "1"), arguments: 0..<4)
        func allCuts(_ part: Int) throws {
            let text = try JournalText(200)
            // Four parts of equal work.
            let bounds = [0.0, 0.5, 0.707, 0.866, 1.0].map { Int(Double(text.bytes.count) * $0) }
            try Self.checkCuts(text, bounds[part]...bounds[part + 1])
        }

        @Test("cut around every line's end of a file of 200 lines")
        func cutsAtLineEnds() throws {
            let text = try JournalText(200)
            for end in text.ends { try Self.checkCuts(text, (end - 2)...min(end + 2, text.bytes.count)) }
        }

        private static func checkCuts(_ text: JournalText, _ cuts: ClosedRange<Int>) throws {
            let ends = text.ends
            let descriptor = try Disk.unnamedFile(holding: text.bytes)
            defer { close(descriptor) }
            var complete = ends.count
            // From the end, each cut takes a byte of what the last one left.
            for cut in cuts.reversed() {
                ftruncate(descriptor, off_t(cut))
                while complete > 0, ends[complete - 1] > cut { complete -= 1 }
                guard complete > 0 else {
                    try Self.check(descriptor, .unreadable, "cut at \(cut)")
                    continue
                }
                let isClean = ends[complete - 1] == cut
                let expected = Expectation(
                    damage: isClean ? .none : .tornTail, records: Array(text.records[..<(complete - 1)]), trusted: complete - 1,
                    goodEnd: ends[complete - 1])
                try Self.check(descriptor, expected, "cut at \(cut)")
            }
        }

        @Test("every bit of 20 lines flipped, in the middle and at the end of the file", arguments: 0..<4)
        func flips(_ part: Int) throws {
            let text = try JournalText(24)
            let count = text.records.count
            let ends = text.ends
            let bytes = text.bytes
            let descriptor = try Disk.unnamedFile(holding: bytes)
            defer { close(descriptor) }
            for offset in ends[3]..<bytes.count where offset % 4 == part {
                let line = ends.prefix { $0 <= offset }.count
                // Without the LF between them, a line and the next are one that says nothing.
                let lost = offset == ends[line] - 1 ? line...min(line + 1, count) : line...line
                let expected = Self.without(lost, of: text)
                for bit in 0..<8 {
                    try Self.put(bytes[offset] ^ 1 << UInt8(bit), at: offset, in: descriptor)
                    try Self.check(descriptor, expected, "bit \(bit) of byte \(offset), line \(line)")
                }
                try Self.put(bytes[offset], at: offset, in: descriptor)
            }
        }

        @Test("every bit of the header flipped: nothing is believed")
        func headerFlips() throws {
            let text = try JournalText(3)
            let bytes = text.bytes
            let descriptor = try Disk.unnamedFile(holding: bytes)
            defer { close(descriptor) }
            for offset in 0..<text.ends[0] {
                for bit in 0..<8 {
                    try Self.put(bytes[offset] ^ 1 << UInt8(bit), at: offset, in: descriptor)
                    try Self.check(descriptor, .unreadable, "bit \(bit) of byte \(offset)")
                }
                try Self.put(bytes[offset], at: offset, in: descriptor)
            }
        }

        /// What is left when some lines, the header not among them, say nothing.
        private static func without(_ lost: ClosedRange<Int>, of text: JournalText) -> Expectation {
            let isLast = lost.upperBound == text.records.count
            return Expectation(
                damage: isLast ? .tornTail : .gap,
                records: text.records.enumerated().filter { !lost.contains($0.offset + 1) }.map(\.element),
                trusted: lost.lowerBound - 1, goodEnd: text.ends[lost.lowerBound - 1])
        }

        private static func put(_ byte: UInt8, at offset: Int, in descriptor: CInt) throws {
            var byte = byte
            guard pwrite(descriptor, &byte, 1, off_t(offset)) == 1 else { throw TestSupportError(.system, "pwrite failed") }
        }

        @Test("each of 200 lines overwritten with NUL bytes, with and without its LF")
        func nuls() throws {
            let text = try JournalText(200)
            for number in 1...200 {
                var lines = text.lines
                lines[number] = [UInt8](repeating: 0, count: lines[number].count - 1) + [0x0A]
                try Self.check(lines, Self.without(number...number, of: text), "line \(number)")
                lines[number] = [UInt8](repeating: 0, count: lines[number].count)
                try Self.check(lines, Self.without(number...min(number + 1, 200), of: text), "line \(number) with its LF")
            }
        }

        @Test("each of 200 lines deleted")
        func deleted() throws {
            let text = try JournalText(200)
            for number in 1...200 {
                var lines = text.lines
                lines.remove(at: number)
                // Without its last line a journal is a shorter one.
                let expected =
                    number < 200
                    ? Self.without(number...number, of: text)
                    : Expectation(damage: .none, records: Array(text.records[..<199]), trusted: 199, goodEnd: text.ends[199])
                try Self.check(lines, expected, "line \(number)")
            }
        }

        @Test("each of 200 lines doubled: a number that was there already is a gap, also at the end")
        func doubled() throws {
            let text = try JournalText(200)
            for number in 1...200 {
                var lines = text.lines
                lines.insert(lines[number], at: number)
                let expected = Expectation(damage: .gap, records: text.records, trusted: number, goodEnd: text.ends[number])
                try Self.check(lines, expected, "line \(number)")
            }
        }

        @Test("each of 200 lines swapped with the next: the higher number wins")
        func swapped() throws {
            let text = try JournalText(200)
            for number in 1...199 {
                var lines = text.lines
                lines.swapAt(number, number + 1)
                let expected = Expectation(
                    damage: .gap, records: Array(text.records[..<(number - 1)] + text.records[number...]), trusted: number - 1,
                    goodEnd: text.ends[number - 1])
                try Self.check(lines, expected, "line \(number)")
            }
        }

        @Test("a header that is NUL, deleted or swapped is none; a second one is a line that says nothing")
        func headers() throws {
            let text = try JournalText(5)
            let nul = [UInt8](repeating: 0, count: text.lines[0].count)
            try Self.check([nul] + text.lines[1...], .unreadable, "NUL")
            try Self.check(Array(text.lines[1...]), .unreadable, "deleted")
            try Self.check([text.lines[1], text.lines[0]] + text.lines[2...], .unreadable, "swapped")
            let doubled = Expectation(damage: .gap, records: text.records, trusted: 0, goodEnd: text.ends[0])
            try Self.check([text.lines[0]] + text.lines, doubled, "doubled")
        }

        @Test("64 MiB of garbage, alone, behind, and between lines")
        func garbage() throws {
            let text = try JournalText(20)
            let descriptor = try Disk.unnamedFile(holding: Fixtures.pseudoRandomBytes(count: 64 << 20, seed: 5))
            defer { close(descriptor) }
            try Self.check(descriptor, .unreadable, "alone")
            for line in [10, 20] {
                // The head of the garbage gives way to lines, and more of them follow it.
                ftruncate(descriptor, 64 << 20)
                try Self.write(Array(text.lines[...line].joined()), at: 0, to: descriptor)
                try Self.write([0x0A] + Array(text.lines[(line + 1)...].joined()), at: 64 << 20, to: descriptor)
                let expected = Expectation(
                    damage: line == 20 ? .tornTail : .gap, records: text.records, trusted: line, goodEnd: text.ends[line])
                try Self.check(descriptor, expected, "behind line \(line)")
            }
        }

        @Test("a line of 1 GiB, at the end and between lines")
        func longLine() throws {
            let text = try JournalText(20)
            let descriptor = try Disk.unnamedFile(holding: text.bytes)
            defer { close(descriptor) }
            // A hole: it takes no room.
            ftruncate(descriptor, 1 << 30)
            try Self.check(
                descriptor, Expectation(damage: .tornTail, records: text.records, trusted: 20, goodEnd: text.ends[20]),
                "at the end")
            let further = try JournalText(22)
            try Self.write([0x0A] + Array(further.lines[21...].joined()), at: 1 << 30, to: descriptor)
            try Self.check(
                descriptor, Expectation(damage: .gap, records: further.records, trusted: 20, goodEnd: text.ends[20]), "between")
        }

        private static func write(_ bytes: [UInt8], at offset: Int, to descriptor: CInt) throws {
            guard bytes.withUnsafeBytes({ pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }) == bytes.count else {
                throw TestSupportError(.system, "pwrite failed: errno \(errno)")
            }
        }

        @Test("a line that makes no sense is damage, wherever it stands", arguments: 1...5)
        func senseless(_ number: Int) throws {
            var text = try JournalText(5)
            for members in [#""op":"blob""#, #""op":"delete","d":"md5:00""#, #""x":1"#] {
                text.lines[number] = JournalText.sealed(#"{"g":7,"q":\#(number),\#(members)"#)
                try Self.check(text.lines, Self.without(number...number, of: text), members)
            }
            // An unknown operation that could not be written again.
            text.lines[number] = JournalText.sealed(#"{"op":"x","g":7,"q":\#(number)"#)
            try Self.check(text.lines, Self.without(number...number, of: text), "order")
        }
    }
}
