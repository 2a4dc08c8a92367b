import OCI
import Testing

@testable import Storage

struct CatalogTests {
    /// One of everything, and a blob that two registries share.
    private static func records() throws -> [JournalRecord] {
        let nginx = try Sample.repository("library/nginx")
        let redis = try Sample.repository("library/redis")
        let other = try Sample.repository("org/app", in: "ghcr.io")
        let manifest = try Sample.digest(3)
        let facts = ManifestFacts(
            mediaType: .ociManifest,
            children: [
                Edge(role: .config, digest: try Sample.digest(1), size: 100),
                Edge(role: .layer, digest: try Sample.digest(2), size: 2_000),
            ], subject: try Sample.digest(9))
        return [
            .blob(try Sample.digest(1), size: 100, repository: nginx, at: 10),
            .blob(try Sample.digest(2), size: 2_000, repository: other, at: 11),
            .manifest(manifest, facts, size: 300, repository: nginx, at: 12), .link(try Sample.digest(2), nginx),
            .link(try Sample.digest(1), redis), .tag(try Tag(parsing: "latest"), nginx, manifest, fetchedAt: 13),
            .tag(try Tag(parsing: "old"), nginx, manifest, fetchedAt: 14), .untag(try Tag(parsing: "old"), nginx),
            .use(manifest, at: 20, pulls: 7), .blob(try Sample.digest(4), size: 40_000, repository: nil, at: 15),
            .blob(try Sample.digest(5), size: 500_000, repository: redis, at: 16), .deleted(try Sample.digest(5)),
        ]
    }

    private static func catalog(_ records: [JournalRecord]) -> Catalog {
        let catalog = Catalog()
        for record in records { catalog.apply(record) }
        return catalog
    }

    /// Everything the questions of a catalog answer about the records above.
    private struct View: Equatable {
        var contents: [Catalog.Content?] = []
        var total: Catalog.Totals
        var shares: [Int64] = []
        var held: [Set<Digest>] = []
        var tags: [[OCI.Tag: Catalog.TagEntry]] = []

        init(_ catalog: Catalog) throws {
            self.total = catalog.total
            for number in 0...9 { self.contents.append(catalog.content(try Sample.digest(number))) }
            for namespace in ["docker.io", "ghcr.io", "quay.io"] {
                self.shares.append(catalog.share(of: try Namespace(parsing: namespace)))
            }
            let names = [("library/nginx", "docker.io"), ("library/redis", "docker.io"), ("org/app", "ghcr.io")]
            for (name, namespace) in names {
                let repository = try Sample.repository(name, in: namespace)
                self.held.append(catalog.contents(of: repository).filter { catalog.content($0) != nil })
                self.tags.append(catalog.tags(in: repository))
            }
        }
    }

    @Test("what was applied is known")
    func knows() throws {
        let catalog = Self.catalog(try Self.records())
        let nginx = try Sample.repository("library/nginx")
        #expect(catalog.total == Catalog.Totals(blobs: 4, bytes: 42_400, allocated: 3 * 4_096 + 40_960))
        #expect(catalog.share(of: try Namespace(parsing: "docker.io")) == 2 * 4_096)
        #expect(catalog.share(of: try Namespace(parsing: "ghcr.io")) == 4_096)
        #expect(catalog.share(of: try Namespace(parsing: "quay.io")) == 0)
        let content = try #require(catalog.content(try Sample.digest(3)))
        #expect(content.size == 300)
        #expect(content.storedAt == 12)
        #expect(content.usedAt == 20)
        #expect(content.manifest?.children.count == 2)
        #expect(catalog.content(try Sample.digest(5)) == nil)
        #expect(try catalog.tag(Tag(parsing: "latest"), in: nginx)?.digest == Sample.digest(3))
        #expect(catalog.tag(try Tag(parsing: "old"), in: nginx) == nil)
        #expect(catalog.holds(try Sample.digest(2), in: nginx))
        #expect(try !catalog.holds(Sample.digest(2), in: Sample.repository("library/redis")))
        #expect(catalog.expectedSize(of: try Sample.digest(2), in: nginx) == 2_000)
        #expect(catalog.expectedSize(of: try Sample.digest(8), in: nginx) == nil)
    }

    @Test("every record applied twice, and all of them twice, changes nothing")
    func idempotent() throws {
        let records = try Self.records()
        let once = try View(Self.catalog(records))
        #expect(try View(Self.catalog(records.flatMap { [$0, $0] })) == once)
        #expect(try View(Self.catalog(records + records)) == once)
    }

    @Test("a snapshot makes the same catalog, shares included", arguments: 0..<8)
    func snapshot(_ round: Int) throws {
        let catalog = Self.catalog(try Self.records())
        var records: [JournalRecord] = []
        try catalog.snapshot { records.append($0) }
        #expect(try View(Self.catalog(records)) == View(catalog))
        // What the snapshot holds may be replayed over the state itself.
        for record in records { catalog.apply(record) }
        #expect(try View(catalog) == View(Self.catalog(try Self.records())))
    }

    @Test("a second line of the same content only adds")
    func adds() throws {
        let digest = try Sample.digest(1)
        let facts = ManifestFacts(mediaType: .ociIndex, children: [], subject: nil)
        let repository = try Sample.repository()
        let catalog = Self.catalog([
            .manifest(digest, facts, size: 7, repository: repository, at: 1), .use(digest, at: 5),
            .blob(digest, size: 7, repository: nil, at: 9),
        ])
        let content = try #require(catalog.content(digest))
        #expect(content.manifest == facts)
        #expect(content.storedAt == 1)
        #expect(content.usedAt == 5)
        #expect(catalog.total.bytes == 7)
        #expect(catalog.share(of: repository.namespace) == 4_096)
    }

    @Test("the last use never goes back")
    func use() throws {
        let digest = try Sample.digest(1)
        let facts = ManifestFacts(mediaType: .ociIndex, children: [], subject: nil)
        let catalog = Self.catalog([
            .manifest(digest, facts, size: 1, repository: nil, at: 0), .use(digest, at: 9), .use(digest, at: 5),
        ])
        #expect(catalog.content(digest)?.usedAt == 9)
    }

    @Test("pulls only rise, as far as the journal knows them, and the journal is told of the others once")
    func pulls() throws {
        let digest = try Sample.digest(1)
        let facts = ManifestFacts(mediaType: .ociManifest, children: [], subject: nil)
        let catalog = Self.catalog([
            .manifest(digest, facts, size: 1, repository: nil, at: 0), .use(digest, at: 9, pulls: 12),
            .use(digest, at: 5, pulls: 3),
            // As a version before the count wrote it.
            .use(digest, at: 10),
        ])
        #expect(catalog.content(digest)?.pulls == 12)
        #expect(catalog.takeUntoldPulls() == [])
        #expect(catalog.notePull(of: digest, count: 2))
        #expect(!catalog.notePull(of: try Sample.digest(2), count: 1))
        #expect(catalog.takeUntoldPulls() == [.use(digest, at: 10, pulls: 14)])
        #expect(catalog.takeUntoldPulls() == [])
    }

    @Test("removed content gives its bytes back, and comes back with its registry")
    func removal() throws {
        let digest = try Sample.digest(1)
        let repository = try Sample.repository()
        let catalog = Self.catalog([.blob(digest, size: 8, repository: repository, at: 0), .delete(digest), .deleted(digest)])
        #expect(catalog.total == Catalog.Totals())
        #expect(catalog.share(of: repository.namespace) == 0)
        catalog.apply(.blob(digest, size: 8, repository: repository, at: 0))
        #expect(catalog.total.bytes == 8)
        #expect(catalog.share(of: repository.namespace) == 4_096)
    }

    @Test("content that leaves its first repository belongs to the next, and its bytes count there")
    func unlink() throws {
        let digest = try Sample.digest(1)
        let first = try Sample.repository()
        let second = try Sample.repository("org/app", in: "ghcr.io")
        let catalog = Self.catalog([.blob(digest, size: 8, repository: first, at: 0), .link(digest, second)])
        #expect(Set(catalog.repositories(holding: digest)) == [first, second])
        catalog.apply(.unlink(digest, first))
        #expect(catalog.repositories(holding: digest) == [second])
        #expect(catalog.share(of: first.namespace) == 0)
        #expect(catalog.share(of: second.namespace) == 4_096)
        #expect(catalog.allRepositories == [second])
        catalog.apply(.unlink(digest, second))
        #expect(catalog.allRepositories.isEmpty)
        #expect(catalog.contains(digest))
        #expect(catalog.share(of: second.namespace) == 0)
    }

    @Test("a removal that has begun is known until it has ended or the content came back", arguments: [true, false])
    func removals(_ ends: Bool) throws {
        let digest = try Sample.digest(1)
        let repository = try Sample.repository()
        let catalog = Self.catalog([.blob(digest, size: 8, repository: repository, at: 0), .delete(digest), .delete(digest)])
        #expect(catalog.openRemovals == [digest: [repository]])
        // A compaction in the middle of it loses nothing.
        var records: [JournalRecord] = []
        try catalog.snapshot { records.append($0) }
        #expect(Self.catalog(records).openRemovals == [digest: [repository]])
        catalog.apply(ends ? .deleted(digest) : .blob(digest, size: 8, repository: repository, at: 1))
        #expect(catalog.openRemovals.isEmpty)
    }

    @Test("pins are kept with their repository")
    func pins() throws {
        let repository = try Sample.repository()
        let tag = Reference.tag(try Tag(parsing: "1.27"))
        let digest = Reference.digest(try Sample.digest(3))
        let catalog = Self.catalog([.pin(tag, repository, at: 5), .pin(digest, repository, at: 6), .pin(tag, repository, at: 7)])
        #expect(catalog.pins(in: repository) == [tag: 7, digest: 6])
        var records: [JournalRecord] = []
        try catalog.snapshot { records.append($0) }
        #expect(Self.catalog(records).pins(in: repository) == [tag: 7, digest: 6])
        catalog.apply(.unpin(tag, repository))
        catalog.apply(.unpin(digest, repository))
        #expect(catalog.allRepositories.isEmpty)
    }

    @Test("an unknown record said twice is kept once")
    func unknownTwice() throws {
        let record = JournalRecord.unknown(payload: Array("\"op\":\"b\"".utf8), required: false)
        var records: [JournalRecord] = []
        try Self.catalog([record, record]).snapshot { records.append($0) }
        #expect(records == [record])
    }

    @Test("unknown records are kept for the next snapshot, in their order")
    func unknown() throws {
        let unknown: [JournalRecord] = [
            .unknown(payload: Array("\"op\":\"b\"".utf8), required: false),
            .unknown(payload: Array("\"op\":\"a\"".utf8), required: false),
        ]
        var records: [JournalRecord] = []
        try Self.catalog(unknown).snapshot { records.append($0) }
        #expect(records == unknown)
    }

    @Test("a snapshot that cannot be written stops at once")
    func snapshotThrows() throws {
        struct Stop: Error {}
        var count = 0
        #expect(throws: Stop.self) {
            try Self.catalog(try Self.records()).snapshot { _ in
                count += 1
                throw Stop()
            }
        }
        #expect(count == 1)
    }
}
