import OCI
import Storage
import TestSupport
import Testing

@testable import Maintenance

/// What the report promises, and what a removal of a real store frees.
struct DiskUsageRemovalTests {
    private static let tool = "docker.io/library/tool"
    private static let app = "docker.io/library/app"

    /// Stores an image of these layers; returns its manifest.
    private static func image(
        _ layers: [String], _ lab: StoreLab, _ store: ContentStore, in repository: QualifiedRepository, subject: Digest? = nil
    ) async throws -> StoreLab.Content {
        let contents = try layers.map { try StoreLab.Content(Array(String(repeating: $0, count: 3_000).utf8)) }
        let config = try StoreLab.Content(
            Array("{\"layers\":\"\(layers.joined())\",\"subject\":\"\(subject.map { "\($0)" } ?? "")\"}".utf8))
        for content in contents + [config] { try await lab.put(content, into: store, in: repository) }
        let edges =
            [Edge(role: .config, digest: config.digest, size: Int64(config.bytes.count))]
            + contents.map { Edge(role: .layer, digest: $0.digest, size: Int64($0.bytes.count)) }
        let manifest = try StoreLab.Content(
            Array("manifest of \(layers.joined()) \(subject.map { "\($0)" } ?? "")".utf8),
            facts: ManifestFacts(mediaType: .ociManifest, children: edges, subject: subject))
        try await lab.put(manifest, into: store, in: repository)
        return manifest
    }

    private static func index(
        _ images: [StoreLab.Content], _ lab: StoreLab, _ store: ContentStore, in repository: QualifiedRepository
    ) async throws -> StoreLab.Content {
        let edges = images.map { Edge(role: .manifest, digest: $0.digest, size: Int64($0.bytes.count), platform: "linux/amd64") }
        let index = try StoreLab.Content(
            Array("index of \(images.map { "\($0.digest)" }.joined())".utf8),
            facts: ManifestFacts(mediaType: .ociIndex, children: edges, subject: nil))
        try await lab.put(index, into: store, in: repository)
        return index
    }

    /// Two indexes that have a platform in common, one of whose platforms has a tag, too; a signature and a referrer; an image in two
    /// repositories; an image that was pulled by its digest.
    private static func fill(_ lab: StoreLab, _ store: ContentStore) async throws {
        let tool = try QualifiedRepository(parsing: Self.tool)
        let app = try QualifiedRepository(parsing: Self.app)
        let a = try await Self.image(["base", "a"], lab, store, in: tool)
        let b = try await Self.image(["base", "b"], lab, store, in: tool)
        let c = try await Self.image(["c"], lab, store, in: tool)
        let one = try await Self.index([a, b], lab, store, in: tool)
        let two = try await Self.index([b, c], lab, store, in: tool)
        let signature = try await Self.image(["signature"], lab, store, in: tool)
        _ = try await Self.image(["referrer"], lab, store, in: tool, subject: c.digest)
        _ = try await Self.image(["by digest", "base"], lab, store, in: tool)
        let shared = try await Self.image(["base", "shared"], lab, store, in: app)
        _ = try await Self.image(["base", "shared"], lab, store, in: tool)
        for (tag, content, repository) in [
            ("one", one, tool), ("uno", one, tool), ("two", two, tool), ("c", c, tool),
            ("sha256-\(a.digest.hex).sig", signature, tool),
            ("app", shared, app), ("app", shared, tool),
        ] {
            store.setTag(try Tag(parsing: tag), in: repository, to: content.digest)
        }
    }

    @Test(
        "image after image, what was promised comes free",
        arguments: [
            ["one", "uno", "two", "c", "app", "@"], ["c", "two", "one", "uno", "@", "app"],
            ["@", "app", "two", "uno", "one", "c"],
            ["app", "c", "uno", "@", "one", "two"],
        ])
    func removals(_ order: [String]) async throws {
        try await StoreLab.run { lab in
            try await lab.withStore { store in
                try await Self.fill(lab, store)
                let repository = try QualifiedRepository(parsing: Self.tool)
                for name in order {
                    let usage = DiskUsage(store.catalog)
                    let position = try #require(
                        usage.images.firstIndex { image in
                            usage.repositories[image.repository].name == repository
                                && (name == "@" ? image.tags.isEmpty : image.tags.contains { $0.description == name })
                        })
                    let image = usage.images[position]
                    let promised = image.tags.count > 1 ? 0 : usage.removal(of: [position]).freed
                    let reference = try name == "@" ? Reference.digest(image.digest) : .tag(Tag(parsing: name))
                    let before = store.catalog.total.allocated
                    let plan = try await onThread { try store.planRemoval(of: reference, in: repository) }
                    #expect(plan.bytes == promised, "\(name)")
                    try await onThread { try store.execute(plan) }
                    #expect(before - store.catalog.total.allocated == promised, "\(name)")
                }
                // What the other repository and the lab's own image have is left.
                let left = DiskUsage(store.catalog)
                #expect(left.images.map { left.name(of: $0) } == ["docker.io/library/app:app", "docker.io/library/nginx:latest"])
                #expect(left.orphans.blobs == 0)
            }
        }
    }

    @Test("removed together, they free what was promised for all of them")
    func together() async throws {
        try await StoreLab.run { lab in
            try await lab.withStore { store in
                try await Self.fill(lab, store)
                let repository = try QualifiedRepository(parsing: Self.tool)
                let usage = DiskUsage(store.catalog)
                let going = usage.images.indices.filter { number in
                    ["one", "two"].contains(usage.images[number].tags.first?.description)
                }
                #expect(going.count == 2)
                let removal = usage.removal(of: going)
                #expect(removal.freed > usage.images[going[0]].figures.unique + usage.images[going[1]].figures.unique)
                let before = store.catalog.total.allocated
                for name in ["one", "uno", "two"] {
                    let plan = try await onThread { try store.planRemoval(of: .tag(Tag(parsing: name)), in: repository) }
                    try await onThread { try store.execute(plan) }
                }
                #expect(before - store.catalog.total.allocated == removal.freed)
                #expect(removal.later == 0)
            }
        }
    }

    @Test("a tag on an index's platform is a name only, until the index has gone")
    func platform() async throws {
        try await StoreLab.run { lab in
            try await lab.withStore { store in
                try await Self.fill(lab, store)
                let repository = try QualifiedRepository(parsing: Self.tool)
                let plan = try await onThread { try store.planRemoval(of: .tag(Tag(parsing: "c")), in: repository) }
                #expect(plan.deletes.isEmpty)
                #expect(plan.remaining == ["docker.io/library/tool:two"])
            }
        }
    }

    @Test("what another repository holds without an image comes free with the next collection")
    func later() async throws {
        try await StoreLab.run { lab in
            try await lab.withStore { store in
                // A client has asked for the layer there, and never for a manifest.
                let other = try QualifiedRepository(parsing: "docker.io/library/other")
                store.link(lab.layer.digest, to: other)
                let usage = DiskUsage(store.catalog)
                let removal = usage.removal(of: [0])
                // 1,300,001 bytes are 318 blocks; a block each for config and manifest.
                #expect(removal.freed == 320 * 4096)
                #expect(removal.later == 318 * 4096)
                let plan = try await onThread {
                    try store.planRemoval(of: .tag(Tag(parsing: "latest")), in: lab.repository)
                }
                #expect(plan.bytes == removal.freed - removal.later)
                try await onThread { try store.execute(plan) }
                #expect(DiskUsage(store.catalog).orphans.allocated == removal.later)
            }
        }
    }
}
