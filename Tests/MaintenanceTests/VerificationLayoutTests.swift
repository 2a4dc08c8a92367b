import Logging
import OCI
import TestSupport
import Testing

@testable import Maintenance
@testable import Storage

extension MaintenanceTests {
    /// Layouts, journal, and what does not belong into a store.
    @Suite struct VerificationLayoutTests {
        private static func link(_ lab: StoreLab, _ content: StoreLab.Content) -> String {
            lab.path("\(StoreLab.layout)/blobs/sha256/\(content.digest.hex)")
        }

        enum Harm: String, CaseIterable, Sendable {
            case missingLink, copiedLink, symbolicLink, leftoverLink, noIndex, garbledIndex, oldIndex, pipeIndex, noVersion,
                otherVersion, noLayout

            func inflict(on lab: StoreLab) throws {
                let link = MaintenanceTests.VerificationLayoutTests.link(lab, lab.layer)
                let index = lab.path("\(StoreLab.layout)/index.json")
                let version = lab.path("\(StoreLab.layout)/oci-layout")
                switch self {
                case .missingLink: try Disk.remove(link)
                case .copiedLink:
                    try Disk.remove(link)
                    try Disk.write(lab.layer.bytes, to: link)
                case .symbolicLink:
                    try Disk.remove(link)
                    try Disk.link(lab.path(lab.layer), at: link)
                case .leftoverLink:
                    try Disk.write([1], to: lab.path("\(StoreLab.layout)/blobs/sha256/\(StoreLab.Content([1]).digest.hex)"))
                case .noIndex: try Disk.remove(index)
                case .garbledIndex: try Disk.write(Array("{\"manifests\":".utf8), to: index)
                case .oldIndex: try Disk.write(Array("{\"schemaVersion\":2,\"manifests\":[]}".utf8), to: index)
                case .pipeIndex:
                    try Disk.remove(index)
                    try Disk.makePipe(index)
                case .noVersion: try Disk.remove(version)
                case .otherVersion: try Disk.write(Array("{\"imageLayoutVersion\":\"9\"}".utf8), to: version)
                case .noLayout:
                    for content in lab.contents { try Disk.remove(MaintenanceTests.VerificationLayoutTests.link(lab, content)) }
                    for folder in ["blobs/sha256", "blobs/sha512", "blobs", "index.json", "oci-layout", ""] {
                        let path = lab.path("\(StoreLab.layout)/\(folder)")
                        if Disk.exists(path) { try Disk.remove(path) }
                    }
                }
            }

            var kinds: [Finding.Kind] {
                switch self {
                case .missingLink: [.missingLink]
                case .copiedLink, .symbolicLink: [.foreignLink]
                case .leftoverLink: [.leftoverLink]
                case .noIndex, .garbledIndex, .oldIndex, .pipeIndex: [.layoutIndex]
                case .noVersion, .otherVersion: [.layoutVersion]
                case .noLayout: [.missingLink, .layoutIndex, .layoutVersion]
                }
            }
        }

        @Test("a layout that is not what the journal says is one line, and written again", arguments: Harm.allCases)
        func layout(_ harm: Harm) async throws {
            try await StoreLab.run { (lab) async throws in
                let index = try Disk.read(lab.path("\(StoreLab.layout)/index.json"))
                try harm.inflict(on: lab)
                let report = try await lab.verify()
                #expect(report.kinds == harm.kinds, "\(report.lines)")
                #expect(report.lines.allSatisfy { $0.contains("docker.io/library/nginx") })
                #expect(report.outcome.verdict == .findingsLeft)
                let repaired = try await lab.repair()
                #expect(repaired.outcome.verdict == .repaired, "\(repaired.lines) \(repaired.resolutions)")
                let again = try await lab.verify()
                #expect(again.outcome.verdict == .clean, "\(again.lines)")
                #expect(try Disk.read(lab.path("\(StoreLab.layout)/index.json")) == index)
                for content in lab.contents {
                    #expect(try Disk.inode(Self.link(lab, content)) == Disk.inode(lab.path(content)))
                }
            }
        }

        @Test(
            "a server's start writes what a crash has left out of the layouts",
            arguments: [Harm.missingLink, .noIndex, .oldIndex, .noLayout])
        func startMendsLayouts(_ harm: Harm) async throws {
            try await StoreLab.run { (lab) async throws in
                try harm.inflict(on: lab)
                // As a process leaves it that was killed.
                try Disk.write(Array("4711 serve\n".utf8), to: lab.path("store.lock"))
                try await lab.serving { _ in
                    try await eventually("the layout is whole") {
                        try await lab.verify { $0.settling = .zero }.kinds.isEmpty
                    }
                }
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("what is not the store's is found; in spool/ and blobs/ it goes to quarantine, in the root it stays")
        func strangers() async throws {
            try await StoreLab.run { (lab) async throws in
                let paths = [
                    "blobs/notes.txt", "blobs/sha256/notes.txt", "blobs/sha256/00/notes.txt",
                    "blobs/sha256/00/\(lab.layer.digest.hex)", "spool/notes.txt",
                ]
                for path in paths { try Disk.write([1, 2, 3], to: lab.path(path)) }
                try Disk.makePipe(lab.path("spool/pipe"))
                let report = try await lab.verify()
                #expect(report.kinds == Array(repeating: .stranger, count: 6), "\(report.lines)")
                #expect(try await lab.repair().outcome.verdict == .repaired)
                #expect(try await lab.verify().outcome.verdict == .clean)
                for path in paths { #expect(!Disk.exists(lab.path(path))) }
                #expect(try Disk.names(in: lab.path("quarantine")).count == 6, "nothing of anybody's is lost")

                try Disk.write([1], to: lab.path("notes\u{1B}[31m.txt"))
                let other = try await lab.verify()
                #expect(other.kinds == [.stranger])
                #expect(other.lines[0].contains("\\u001b"), "a name is no command to the terminal")
            }
        }

        @Test("a missing folder is made again, a leftover of a download is a note")
        func folders() async throws {
            try await StoreLab.run { (lab) async throws in
                try Disk.remove(lab.path("blobs/sha512/7f"))
                try Disk.write([1], to: lab.path("spool/sha256-\(lab.layer.digest.hex).12"))
                let report = try await lab.verify()
                #expect(report.kinds == [.missingFolder])
                #expect(report.notes == [.leftover])
                #expect(try await lab.repair().outcome.verdict == .repaired)
                #expect(try await lab.verify().findings == [])
            }
        }

        @Test("names come back from the layouts when the journal is gone, or cannot be read", arguments: [true, false])
        func lostJournal(_ isMissing: Bool) async throws {
            try await StoreLab.run { (lab) async throws in
                let journal = lab.path("journal.jsonl")
                if isMissing { try Disk.remove(journal) } else { try Disk.write([UInt8](repeating: 0, count: 500), to: journal) }
                let report = try await lab.verify()
                #expect(report.kinds == [isMissing ? .journalMissing : .journalUnreadable], "\(report.lines)")
                #expect(!report.lines.contains { $0.contains("sha256:") }, "one finding, not one a blob")
                let repaired = try await lab.repair()
                #expect(repaired.outcome.verdict == .repaired, "\(repaired.lines)")
                #expect(repaired.outcome.adopted == 3)
                try await lab.withStore { (store) async throws in
                    #expect(try store.catalog.tag(Tag(parsing: "latest"), in: lab.repository)?.digest == lab.manifest.digest)
                    #expect(store.catalog.content(lab.manifest.digest)?.manifest == lab.manifest.facts)
                    for content in lab.contents { #expect(store.catalog.holds(content.digest, in: lab.repository)) }
                }
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("with the journal gone, damaged content is not adopted, and quick looks at what it adopts")
        func lostJournalAndDamage() async throws {
            try await StoreLab.run { (lab) async throws in
                try Disk.remove(lab.path("journal.jsonl"))
                try StoreLab.flip(lab.path(lab.layer), at: 1000)
                #expect(try await lab.verify().kinds == [.journalMissing, .damagedBlob])
                let repaired = try await lab.repair { $0.depth = .quick }
                #expect(repaired.outcome.verdict == .repaired)
                #expect(repaired.outcome.adopted == 2)
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("a gap in the journal is a finding; what it told comes back from the disk")
        func gap() async throws {
            try await StoreLab.run { (lab) async throws in
                let journal = lab.path("journal.jsonl")
                let lines = try Disk.text(journal).split(separator: "\n")
                let target = try #require(lines.first { $0.contains("\"op\":\"blob\"") && $0.contains(lab.layer.digest.hex) })
                let offset = try #require(try Disk.text(journal).range(of: target))
                try StoreLab.flip(
                    journal,
                    at: try Disk.text(journal).utf8.distance(from: try Disk.text(journal).startIndex, to: offset.lowerBound) + 20)
                let report = try await lab.verify()
                #expect(report.kinds.contains(.journalGap), "\(report.lines)")
                #expect(report.kinds.contains(.unknownBlob), "\(report.lines)")
                #expect(try await lab.repair().outcome.verdict == .repaired)
                let again = try await lab.verify()
                #expect(again.outcome.verdict == .clean, "\(again.lines)")
                try await lab.withStore { (store) async throws in
                    #expect(store.catalog.contains(lab.layer.digest))
                    #expect(try store.catalog.tag(Tag(parsing: "latest"), in: lab.repository)?.digest == lab.manifest.digest)
                }
            }
        }

        @Test("a torn end of the journal is a finding after a clean end, a note after a crash")
        func tornTail() async throws {
            try await StoreLab.run { (lab) async throws in
                let journal = lab.path("journal.jsonl")
                try Disk.write(try Disk.read(journal) + [UInt8](repeating: 0, count: 100), to: journal)
                #expect(try await lab.verify().kinds == [.journalTail])
                try Disk.write(Array("4711 serve\n".utf8), to: lab.path("store.lock"))
                let report = try await lab.verify()
                #expect(report.notes == [.journalTail])
                #expect(report.outcome.verdict == .clean)
                _ = try await lab.repair()
                #expect(try await lab.verify().findings == [])
            }
        }

        @Test("a tag without its content is a note")
        func emptyTag() async throws {
            try await StoreLab.run { (lab) async throws in
                try await lab.withStore { (store) async throws in
                    let digest = try StoreLab.Content([9]).digest
                    try await store.journal.append([.tag(try Tag(parsing: "old"), lab.repository, digest, fetchedAt: 0)])
                }
                let report = try await lab.verify()
                #expect(
                    report.lines == [
                        "tag old of docker.io/library/nginx names content that is not stored: fetched when asked for"
                    ])
                #expect(report.outcome.verdict == .clean)
            }
        }
    }
}
