import OCI
import TestSupport
import Testing

@testable import Storage

/// P13 through a whole open: what is kept, cut off, put aside and written anew, at a sample of the places that
/// `JournalDamageTests` visits one by one.
struct StoreDamageTests {
    /// An empty store, and a journal of 200 lines that is its own.
    private static func withStore(_ body: (StoreFixture, JournalText) async throws -> Void) async throws {
        try await StoreFixture.run { (fixture) async throws in
            let id = try await fixture.withStore { $0.identity.id }
            try await body(fixture, try JournalText(200, store: id))
        }
    }

    /// Which of the tags that the lines name are there, by the numbers of their lines; and whose times are believed.
    private static func tags(_ text: JournalText, in store: ContentStore) -> (known: [Int], trusted: [Int]) {
        var known: [Int] = []
        var trusted: [Int] = []
        for (index, record) in text.records.enumerated() {
            guard case .tag(let tag, let repository, let digest, let fetchedAt) = record,
                let entry = store.catalog.tag(tag, in: repository), entry.digest == digest
            else { continue }
            known.append(index + 1)
            if entry.fetchedAt == fetchedAt { trusted.append(index + 1) }
        }
        return (known, trusted)
    }

    /// The numbers of lines that are tags: 3, 4, 12, 13, 21, …
    private static let tagLines = (1...200).filter { [3, 4].contains($0 % 9) }

    @Test("cut at a sample of bytes: the complete lines stay, the rest goes to .torn, and writing goes on behind them")
    func cuts() async throws {
        try await Self.withStore { (fixture, text) async throws in
            let (bytes, ends) = (text.bytes, text.ends)
            let cuts =
                Array(stride(from: ends[0], through: bytes.count, by: 1_499)) + [ends[0] + 1, ends[7] - 1, ends[7], ends[200]]
            for cut in cuts {
                let complete = ends.prefix { $0 <= cut }.count - 1
                let torn = Array(bytes[ends[complete]..<cut])
                try fixture.write(Array(bytes[..<cut]), to: "journal.jsonl")
                if Disk.exists(fixture.path("journal.jsonl.torn")) { try Disk.remove(fixture.path("journal.jsonl.torn")) }
                try await fixture.withStore { (store) async throws in
                    let kept = try Disk.read(fixture.path("journal.jsonl"))
                    #expect(kept == Array(bytes[..<ends[complete]]), "cut at \(cut)")
                    let tags = Self.tags(text, in: store)
                    #expect(tags.known == Self.tagLines.filter { $0 <= complete }, "cut at \(cut)")
                    #expect(tags.trusted == tags.known)
                    #expect(Disk.exists(fixture.path("journal.jsonl.torn")) == !torn.isEmpty)
                    if !torn.isEmpty { #expect(try Disk.read(fixture.path("journal.jsonl.torn")) == torn) }
                    try await store.journal.append([.untag(try Tag(parsing: "new"), try Sample.repository())])
                }
                let outcome = try JournalReplayTests.replay(
                    try Disk.read(fixture.path("journal.jsonl")), store: try await fixture.withStore { $0.identity.id })
                #expect(outcome.replay.damage == .none)
                #expect(outcome.replay.lastSequence == Int64(complete + 1))
            }
            #expect(try Disk.names(in: fixture.path).filter { $0.contains(".bad-") }.isEmpty)
        }
    }

    @Test("cut inside the header: a new journal, the old one kept as .bad-0")
    func headerCuts() async throws {
        try await Self.withStore { (fixture, text) async throws in
            for cut in stride(from: 1, to: text.ends[0], by: 17) {
                let bytes = Array(text.bytes[..<cut])
                try fixture.write(bytes, to: "journal.jsonl")
                try await fixture.withStore { #expect($0.catalog.total == Catalog.Totals()) }
                #expect(try Disk.read(fixture.path("journal.jsonl.bad-0")) == bytes)
                #expect(
                    try Disk.text(fixture.path("journal.jsonl")).hasPrefix(
                        #"{"amargo":"journal","format":1,"minReader":1,"g":1,"#))
            }
        }
    }

    @Test("a bit flipped in a sample of lines: the file is kept, the rest written anew, what is behind is not trusted")
    func flips() async throws {
        try await Self.withStore { (fixture, text) async throws in
            for number in stride(from: 1, through: 199, by: 11) {
                var lines = text.lines
                lines[number][lines[number].count / 2] ^= 1
                let bytes = Array(lines.joined())
                try fixture.write(bytes, to: "journal.jsonl")
                try await fixture.withStore { (store) async throws in
                    let tags = Self.tags(text, in: store)
                    #expect(tags.known == Self.tagLines.filter { $0 != number }, "line \(number)")
                    #expect(tags.trusted == Self.tagLines.filter { $0 < number }, "line \(number)")
                }
                #expect(try Disk.read(fixture.path("journal.jsonl.bad-7")) == bytes)
                let header = try Disk.text(fixture.path("journal.jsonl")).prefix { $0 != "\n" }
                #expect(header.contains(#""g":8,"#))
                #expect(!Disk.exists(fixture.path("journal.jsonl.torn")))
                #expect(!Disk.exists(fixture.path("journal.jsonl.new")))
            }
        }
    }

    @Test("of damaged journals two are kept, however far apart their generations are")
    func keepsTwo() async throws {
        try await Self.withStore { (fixture, text) async throws in
            let id = try await fixture.withStore { $0.identity.id }
            for (generation, kept) in [(7, ["7"]), (12, ["12", "7"]), (30, ["12", "30"]), (31, ["30", "31"])] {
                var lines = try JournalText(3, generation: generation, store: id).lines
                lines.remove(at: 1)
                try fixture.write(Array(lines.joined()), to: "journal.jsonl")
                try await fixture.withStore { _ in }
                let names = try Disk.names(in: fixture.path).filter { $0.contains(".bad-") }
                #expect(names == kept.map { "journal.jsonl.bad-\($0)" })
            }
            // One that cannot be read has no generation.
            try fixture.write([0x0A], to: "journal.jsonl")
            try await fixture.withStore { _ in }
            let names = try Disk.names(in: fixture.path).filter { $0.contains(".bad-") }
            #expect(names == ["journal.jsonl.bad-0", "journal.jsonl.bad-31"])
        }
    }

    @Test("what a newer version wrote is in the journal that replaces a damaged one, as often as it was")
    func keepsUnknown() async throws {
        try await Self.withStore { (fixture, text) async throws in
            var lines = text.lines
            lines.remove(at: 1)
            try fixture.write(Array(lines.joined()), to: "journal.jsonl")
            try await fixture.withStore { _ in }
            let written = try Disk.text(fixture.path("journal.jsonl"))
            #expect(written.contains(#","op":"future","x":["**",{}],"c":""#))
        }
    }

    @Test("64 MiB of garbage, and a line of 1 GiB, behind the last line: 64 KiB of it are kept", arguments: [64 << 20, 1 << 30])
    func hugeTails(_ count: Int) async throws {
        try await Self.withStore { (fixture, text) async throws in
            let bytes = text.bytes
            let garbage = count == 1 << 30 ? [] : Fixtures.pseudoRandomBytes(count: count, seed: 9)
            try fixture.write(bytes + garbage, to: "journal.jsonl")
            // A hole: it takes no room.
            if garbage.isEmpty { try Disk.setSize(Int64(count), of: fixture.path("journal.jsonl")) }
            try await fixture.withStore { (store) async throws in
                #expect(try Disk.read(fixture.path("journal.jsonl")) == bytes)
                #expect(Self.tags(text, in: store).trusted == Self.tagLines)
            }
            let torn = garbage.isEmpty ? [UInt8](repeating: 0, count: 1 << 16) : Array(garbage[..<(1 << 16)])
            #expect(try Disk.read(fixture.path("journal.jsonl.torn")) == torn)
        }
    }
}
