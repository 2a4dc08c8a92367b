import OCI
import Storage
import TestSupport
import Testing

@testable import Maintenance

extension MaintenanceTests {
    /// Every kind of damage to blobs is found, mended, and not found again.
    @Suite struct VerificationBlobTests {
        enum Damage: String, CaseIterable, Sendable {
            case flippedFirst, flippedMiddle, flippedLast, hole, truncated, grown, emptied, deleted, link, pipe, folder

            func inflict(on path: String, size: Int) throws {
                switch self {
                case .flippedFirst: try StoreLab.flip(path, at: 0)
                case .flippedMiddle: try StoreLab.flip(path, at: size / 2)
                case .flippedLast: try StoreLab.flip(path, at: size - 1)
                case .hole: try StoreLab.punch(path, 0..<min(4096, size))
                case .truncated: try StoreLab.cut(path, to: size - 1)
                case .grown: try StoreLab.cut(path, to: size + 1)
                case .emptied: try StoreLab.cut(path, to: 0)
                case .deleted: try Disk.remove(path)
                case .link:
                    try Disk.remove(path)
                    try Disk.link("/etc/hostname", at: path)
                case .pipe:
                    try Disk.remove(path)
                    try Disk.makePipe(path)
                case .folder:
                    try Disk.remove(path)
                    try Disk.makeFolder(path)
                }
            }

            var kind: Finding.Kind {
                switch self {
                case .flippedFirst, .flippedMiddle, .flippedLast, .hole: .damagedBlob
                case .truncated, .grown, .emptied: .wrongSize
                case .deleted: .missingBlob
                case .link, .pipe, .folder: .notAFile
                }
            }
        }

        @Test("a sound store is clean, in every depth")
        func sound() async throws {
            try await StoreLab.run { (lab) async throws in
                let report = try await lab.verify()
                #expect(report.findings == [])
                #expect(report.outcome.verdict == .clean)
                #expect(report.outcome.blobs == 3)
                #expect(report.outcome.hashedBlobs == 3)
                #expect(report.outcome.hashedBytes == Int64(lab.contents.reduce(0) { $0 + $1.bytes.count }))
                #expect(report.outcome.isComplete)
                #expect(report.events.last == .end(report.outcome))
                #expect(try await lab.verify { $0.depth = .quick }.findings == [])
                #expect(try await lab.verify { $0.depth = .sample(0.5) }.findings == [])
                #expect(try await lab.repair().outcome.verdict == .clean)
            }
        }

        @Test("damage is one line, mended by a repair, and gone then", arguments: Damage.allCases)
        func damage(_ damage: Damage) async throws {
            try await StoreLab.run { (lab) async throws in
                try damage.inflict(on: lab.path(lab.layer), size: lab.layer.bytes.count)
                let report = try await lab.verify()
                // What stands in the blob's place is another file than the link.
                #expect(report.kinds.filter { $0 != .foreignLink } == [damage.kind], "\(report.lines)")
                #expect(report.outcome.verdict == .findingsLeft)
                #expect(report.lines[0].contains("\(lab.layer.digest)") && report.lines[0].contains("docker.io/library/nginx"))
                #expect(Disk.exists(lab.path(lab.layer)) == (damage != .deleted), "a look changes nothing")

                let repaired = try await lab.repair()
                #expect(repaired.outcome.verdict == .repaired, "\(repaired.lines) \(repaired.resolutions)")
                let again = try await lab.verify()
                #expect(again.outcome.verdict == .clean, "\(again.lines)")
                if damage == .deleted {
                    #expect(try Disk.read(lab.path(lab.layer)) == lab.layer.bytes, "a layout still had it")
                } else {
                    #expect(!Disk.exists(lab.path(lab.layer)))
                    #expect(again.notes == [.quarantine])
                    try await lab.withStore { (store) async throws in
                        #expect(!store.catalog.contains(lab.layer.digest), "it is fetched anew")
                        try await lab.put(lab.layer, into: store)
                    }
                    #expect(try await lab.verify().outcome.verdict == .clean)
                }
            }
        }

        @Test("the line is the one that the manual shows")
        func wording() async throws {
            try await StoreLab.run { (lab) async throws in
                try StoreLab.flip(lab.path(lab.layer), at: 5)
                #expect(
                    try await lab.verify().lines == [
                        "damaged blob \(lab.layer.digest) (docker.io/library/nginx): goes to quarantine, fetched again when asked for"
                    ])
            }
        }

        @Test("two blobs that changed places are both damaged")
        func swapped() async throws {
            try await StoreLab.run { (lab) async throws in
                let other = try StoreLab.Content(Fixtures.pseudoRandomBytes(count: lab.layer.bytes.count, seed: 8))
                try await lab.withStore { store in try await lab.put(other, into: store) }
                let (one, two) = (lab.path(lab.layer), lab.path(other))
                try Disk.move(one, to: "\(one).x")
                try Disk.move(two, to: one)
                try Disk.move("\(one).x", to: two)
                let report = try await lab.verify()
                #expect(report.kinds.filter { $0 == .damagedBlob }.count == 2, "\(report.lines)")
                #expect(try await lab.verify { $0.depth = .quick }.kinds == [.foreignLink], "sizes and names are right")
                #expect(try await lab.repair().outcome.verdict == .repaired)
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("a blob that is nowhere any more is forgotten")
        func gone() async throws {
            try await StoreLab.run { (lab) async throws in
                try Disk.remove(lab.path(lab.layer))
                try Disk.remove(lab.path("\(StoreLab.layout)/blobs/sha256/\(lab.layer.digest.hex)"))
                #expect(
                    try await lab.verify().lines == [
                        "missing blob \(lab.layer.digest) (docker.io/library/nginx): forgotten, fetched again when asked for"
                    ])
                #expect(try await lab.repair().outcome.verdict == .repaired)
                try await lab.withStore { store in #expect(!store.catalog.contains(lab.layer.digest)) }
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("a blob that nobody knows is adopted if its bytes are right, and goes if they are not", arguments: [true, false])
        func unknown(_ isRight: Bool) async throws {
            try await StoreLab.run { (lab) async throws in
                let other = try StoreLab.Content(Fixtures.pseudoRandomBytes(count: 70_000, seed: 8))
                try Disk.write(isRight ? other.bytes : Array(other.bytes.reversed()), to: lab.path(other))
                #expect(try await lab.verify().kinds == [isRight ? .unknownBlob : .damagedBlob])
                #expect(try await lab.verify { $0.depth = .quick }.kinds == [.unknownBlob])
                #expect(try await lab.repair().outcome.verdict == .repaired)
                try await lab.withStore { store in #expect(store.catalog.contains(other.digest) == isRight) }
                #expect(Disk.exists(lab.path(other)) == isRight)
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("after a crash, what the next start mends by itself is a note")
        func crash() async throws {
            try await StoreLab.run { (lab) async throws in
                let other = try StoreLab.Content(Fixtures.pseudoRandomBytes(count: 70_000, seed: 8))
                try Disk.write(other.bytes, to: lab.path(other))
                // What the lock says when a process was killed: it names one that does not hold it.
                try Disk.write(Array("4711 serve\n".utf8), to: lab.path("store.lock"))
                let report = try await lab.verify()
                #expect(report.notes == [.unknownBlob])
                #expect(report.outcome.verdict == .clean)
            }
        }

        @Test("a manifest of which the journal says something else is corrected, and keeps its repositories")
        func facts() async throws {
            try await StoreLab.run { (lab) async throws in
                let bytes = Fixtures.imageManifest(
                    config: .init(
                        mediaType: ManifestFlavour.oci.configType, digest: "\(lab.config.digest)", size: lab.config.bytes.count),
                    layers: [])
                let truth = ManifestFacts(
                    mediaType: .ociManifest,
                    children: [Edge(role: .config, digest: lab.config.digest, size: Int64(lab.config.bytes.count))], subject: nil)
                let other = try StoreLab.Content(bytes, facts: lab.manifest.facts)
                let second = try QualifiedRepository(parsing: "ghcr.io/a/b")
                try await lab.withStore { (store) async throws in
                    try await lab.put(other, into: store)
                    store.link(other.digest, to: second)
                }
                #expect(try await lab.verify().kinds == [.wrongFacts])
                #expect(try await lab.repair().outcome.verdict == .repaired)
                try await lab.withStore { (store) async throws in
                    #expect(store.catalog.content(other.digest)?.manifest == truth)
                    #expect(Set(store.catalog.repositories(holding: other.digest)) == [lab.repository, second])
                }
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("quick hashes nothing, a sample its share, and the same seed the same blobs")
        func depths() async throws {
            try await StoreLab.run { (lab) async throws in
                let others = try (0..<40).map { try StoreLab.Content(Fixtures.pseudoRandomBytes(count: 100_000, seed: 100 + $0)) }
                try await lab.withStore { (store) async throws in
                    for other in others { try await lab.put(other, into: store) }
                }
                for other in others { try StoreLab.flip(lab.path(other), at: 99_999) }
                let quick = try await lab.verify { $0.depth = .quick }
                #expect(quick.kinds == [])
                #expect(quick.outcome.hashedBlobs == 0)
                #expect(quick.outcome.blobs == 43)
                let sample = { (seed: UInt64) in
                    try await lab.verify {
                        $0.depth = .sample(0.1)
                        $0.seed = seed
                    }
                }
                let first = try await sample(1)
                // 5.3 MB in all: at least a tenth, at most one blob more, the largest of which has 1.3 MB.
                #expect((530_000...1_840_000).contains(first.outcome.hashedBytes), "\(first.outcome)")
                #expect(!first.kinds.isEmpty && first.kinds.count < 40)
                #expect(Set(try await sample(1).lines) == Set(first.lines))
                #expect(Set(try await sample(2).lines) != Set(first.lines))
            }
        }
    }
}
