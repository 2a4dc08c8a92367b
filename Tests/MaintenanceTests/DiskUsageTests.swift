import OCI
import Storage
import Testing

@testable import Maintenance

/// Who has what, worked out by hand.
struct DiskUsageTests {
    /// The store of the first test, in blocks of 4 KiB; every manifest, and every config `c…`, takes one:
    ///
    ///     docker.io/library/app:1, :one   m1 = c1, base (10), one (3)
    ///     docker.io/library/app:2         m2 = c2, base (10), two (5)
    ///     docker.io/library/tool:latest   i  = m3 (linux/amd64) = c3, base (10), tool (1); another platform is not stored
    ///                                     s  = c4, sig (1), attached to m3 by its tag
    ///     ghcr.io/org/app:1               m1, the same as above
    ///     nobody                          lost (7)
    private static func store() throws -> UsageStore {
        var store = UsageStore()
        try store.blob("base", blocks: 10, in: "docker.io/library/app", "docker.io/library/tool", "ghcr.io/org/app")
        try store.blob("one", blocks: 3, in: "docker.io/library/app", "ghcr.io/org/app")
        try store.blob("two", blocks: 5, in: "docker.io/library/app")
        try store.blob("tool", blocks: 1, in: "docker.io/library/tool")
        try store.blob("sig", blocks: 1, in: "docker.io/library/tool")
        try store.blob("lost", blocks: 7, in: "docker.io/library/tool")
        for config in ["c1", "c2", "c3", "c4"] {
            try store.blob(
                config, blocks: 1, in: config == "c1" || config == "c2" ? "docker.io/library/app" : "docker.io/library/tool")
        }
        try store.image("m1", ["c1", "base", "one"], in: "docker.io/library/app", "ghcr.io/org/app", at: 100)
        try store.image("m2", ["c2", "base", "two"], in: "docker.io/library/app", at: 200)
        try store.image("m3", ["c3", "base", "tool"], in: "docker.io/library/tool", at: 300)
        try store.image("s", ["c4", "sig"], in: "docker.io/library/tool", at: 50)
        try store.index("i", ["m3", "absent"], in: "docker.io/library/tool", at: 50)
        try store.tag("1", "m1", in: "docker.io/library/app")
        try store.tag("one", "m1", in: "docker.io/library/app")
        try store.tag("2", "m2", in: "docker.io/library/app")
        try store.tag("latest", "i", in: "docker.io/library/tool")
        try store.tag("sha256-\(try UsageStore.digest("m3").hex).sig", "s", in: "docker.io/library/tool")
        try store.tag("1", "m1", in: "ghcr.io/org/app")
        return store
    }

    @Test("what is unique, shared and attributed is as worked out by hand")
    func byHand() throws {
        let usage = DiskUsage(try Self.store().catalog)
        let block: Int64 = 4096
        #expect(usage.registries.map(\.name.description) == ["docker.io", "ghcr.io"])
        #expect(
            usage.repositories.map { "\($0.name)" } == ["docker.io/library/app", "docker.io/library/tool", "ghcr.io/org/app"])
        #expect(
            usage.images.map { usage.name(of: $0) } == [
                "docker.io/library/app:1", "docker.io/library/app:2", "docker.io/library/tool:latest", "ghcr.io/org/app:1",
            ])
        #expect(usage.images[0].tags.map(\.description) == ["1", "one"])

        // app:1 has nothing for itself: ghcr.io has the same. base is divided among four images, m1, c1 and one among two.
        let first = usage.images[0].figures
        #expect(first.unique == 0)
        #expect(first.shared == (1 + 1 + 10 + 3) * block)
        #expect(first.attributed == block / 2 + block / 2 + 10 * block / 4 + 3 * block / 2)
        #expect(first.blobs == 4)
        #expect(first.lastPulled == 100)
        #expect(usage.images[3].figures == first)

        let second = usage.images[1].figures
        #expect(second.unique == (1 + 1 + 5) * block)
        #expect(second.shared == 10 * block)
        #expect(second.attributed == 7 * block + 10 * block / 4)
        #expect(second.blobs == 4)

        // The index, its one image with config and two layers, the signature with config and layer.
        let third = usage.images[2].figures
        #expect(third.blobs == 8)
        #expect(third.unique == (1 + 1 + 1 + 1 + 3) * block)
        #expect(third.shared == 10 * block)
        #expect(third.lastPulled == 300)

        let app = usage.repositories[0].figures
        #expect(app.images == 2)
        #expect(app.blobs == 7)
        #expect(app.unique == 7 * block)
        #expect(app.shared == 15 * block)
        // ghcr.io keeps m1, c1, one and base from being docker.io's alone.
        let docker = usage.registries[0].figures
        #expect(docker.images == 3)
        #expect(docker.unique == 14 * block)
        #expect(docker.shared == 15 * block)
        #expect(usage.registries[1].figures.unique == 0)
        #expect(usage.registries[1].figures.shared == 15 * block)

        #expect(usage.orphans == DiskUsage.Orphans(blobs: 1, logical: 7 * block, allocated: 7 * block))
        // By hand: ten blobs of a block, base 10, one 3, two 5, lost 7; tool and sig are two of the ten, m1 m2 m3 s i, c1 to c4.
        #expect(usage.allocated == (11 + 10 + 3 + 5 + 7) * block)
        #expect(usage.figures.attributed + usage.orphans.allocated == usage.allocated)
        #expect(usage.blobs == 15)
    }
}

/// A catalog that is written down by names; sizes are whole blocks of 4 KiB.
struct UsageStore {
    let catalog = Catalog()

    static func digest(_ name: String) throws -> Digest {
        let text = String(name.utf8.map { byte in String(byte, radix: 16) }.joined().prefix(60))
        return try Digest(parsing: "sha256:\(text)\(String(repeating: "0", count: 64 - text.count))")
    }

    mutating func blob(_ name: String, blocks: Int64, in repositories: String...) throws {
        try self.add(repositories) {
            .blob(try Self.digest(name), size: blocks * 4096, repository: $0, at: 10)
        } name: {
            try Self.digest(name)
        }
    }

    mutating func image(
        _ name: String, _ children: [String], in repositories: String..., at time: Int64 = 10, subject: String? = nil
    ) throws {
        let edges = try children.enumerated().map {
            Edge(role: $0.offset == 0 ? .config : .layer, digest: try Self.digest($0.element), size: 1)
        }
        try self.manifest(name, .ociManifest, edges, repositories, time, subject)
    }

    mutating func index(_ name: String, _ children: [String], in repositories: String..., at time: Int64 = 10) throws {
        let edges = try children.map { Edge(role: .manifest, digest: try Self.digest($0), size: 1, platform: "linux/\($0)") }
        try self.manifest(name, .ociIndex, edges, repositories, time, nil)
    }

    private func manifest(
        _ name: String, _ type: MediaType, _ edges: [Edge], _ repositories: [String], _ time: Int64, _ subject: String?
    ) throws {
        let facts = ManifestFacts(mediaType: type, children: edges, subject: try subject.map { try Self.digest($0) })
        try self.add(repositories) {
            .manifest(try Self.digest(name), facts, size: 4096, repository: $0, at: time)
        } name: {
            try Self.digest(name)
        }
    }

    private func add(
        _ repositories: [String], _ record: (QualifiedRepository?) throws -> JournalRecord, name: () throws -> Digest
    ) throws {
        self.catalog.apply(try record(try repositories.first.map { try QualifiedRepository(parsing: $0) }))
        for repository in repositories.dropFirst() {
            self.catalog.apply(.link(try name(), try QualifiedRepository(parsing: repository)))
        }
    }

    mutating func tag(_ tag: String, _ name: String, in repository: String) throws {
        self.catalog.apply(
            .tag(try Tag(parsing: tag), try QualifiedRepository(parsing: repository), try Self.digest(name), fetchedAt: 10))
    }
}
