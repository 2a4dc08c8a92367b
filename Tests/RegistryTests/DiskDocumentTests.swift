import Foundation
import OCI
import Storage
import Testing

@testable import Registry

/// A large store drawn small: the largest places one by one, the others as one, and nothing lost.
struct DiskDocumentTests {
    private static let block = 4096

    /// Repositories `library/r0`, `r1`, … with one image each, of as many blocks as its number plus one, and a manifest's one.
    private static func catalog(repositories count: Int) throws -> Catalog {
        let catalog = Catalog()
        for number in 0..<count {
            let repository = try QualifiedRepository(parsing: "docker.io/library/r\(number)")
            let layer = try Self.digest(2 * number)
            let manifest = try Self.digest(2 * number + 1)
            let size = Int64((number + 1) * Self.block)
            catalog.apply(.blob(layer, size: size, repository: repository, at: 1000))
            let facts = ManifestFacts(
                mediaType: .ociManifest, children: [Edge(role: .layer, digest: layer, size: size, platform: nil)], subject: nil)
            catalog.apply(.manifest(manifest, facts, size: 100, repository: repository, at: 1000))
            catalog.apply(.tag(try OCI.Tag(parsing: "v\(number)"), repository, manifest, fetchedAt: 1000))
        }
        return catalog
    }

    private static func digest(_ number: Int) throws -> Digest {
        try Digest(parsing: "sha256:" + String(repeating: "0", count: 56) + String(format: "%08x", number))
    }

    private static func nodes(_ text: String) throws -> [[String: Any]] {
        let document = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return try #require(document?["nodes"] as? [[String: Any]])
    }

    @Test("of a hundred repositories the 59 largest are drawn, and the 41 others as one; together they are all of it")
    func many() throws {
        let document = DiskDocument(usage: UsageSnapshot(try Self.catalog(repositories: 100)))
        let nodes = try Self.nodes(document.json(try Namespace(parsing: "docker.io"), nil))
        #expect(nodes.count == 60)
        #expect(nodes[0]["name"] as? String == "library/r99")
        #expect(nodes[0]["label"] as? String == "r99")
        #expect(nodes[0]["attributedBytes"] as? Int == 101 * Self.block)
        let image = try #require((nodes[0]["children"] as? [[String: Any]])?.first)
        #expect(image["name"] as? String == "library/r99:v99")
        #expect(image["search"] as? String == "docker.io/library/r99:v99")
        let rest = nodes[59]
        #expect(rest["kind"] as? String == "rest")
        #expect(rest["name"] as? String == "41 smaller ones")
        // r0 to r40: 1 to 41 blocks, and one more for each manifest.
        #expect(rest["attributedBytes"] as? Int == (41 * 42 / 2 + 41) * Self.block)
        // What they share with each other nobody has worked out.
        #expect(rest["uniqueBytes"] == nil)
        // 1 + … + 100 blocks, and a hundred manifests.
        #expect(nodes.reduce(0) { $0 + ($1["attributedBytes"] as? Int ?? 0) } == (5050 + 100) * Self.block)
    }

    @Test("a registry alone shows more of what is in it")
    func alone() throws {
        let document = DiskDocument(usage: UsageSnapshot(try Self.catalog(repositories: 100)))
        let nodes = try Self.nodes(document.json(nil, nil))
        #expect(nodes.map { $0["name"] as? String } == ["docker.io"])
        #expect((nodes[0]["children"] as? [[String: Any]])?.count == 100)
    }

    @Test("content of no image is shown as such")
    func orphans() throws {
        let catalog = try Self.catalog(repositories: 3)
        catalog.apply(.blob(try Self.digest(99), size: 5000, repository: nil, at: 1000))
        let nodes = try Self.nodes(DiskDocument(usage: UsageSnapshot(catalog)).json(nil, nil))
        #expect(nodes.map { $0["kind"] as? String } == ["registry", "other"])
        #expect(nodes[1]["attributedBytes"] as? Int == 2 * Self.block)
    }
}
