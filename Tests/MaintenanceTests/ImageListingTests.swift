import OCI
import Storage
import Testing

@testable import Maintenance

/// What `ls` makes of a journal.
struct ImageListingTests {
    private static func digest(_ character: Character) throws -> Digest {
        try Digest(parsing: "sha256:\(String(repeating: character, count: 64))")
    }

    /// An index of two platforms, of which one is stored, a signature by cosign's tag, a referrer by its subject and one by the
    /// fallback tag.
    private static func catalog() throws -> (Catalog, QualifiedRepository) {
        let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
        let catalog = Catalog()
        func manifest(_ name: Character, _ children: [Edge], subject: Digest? = nil, type: MediaType = .ociManifest) throws {
            let facts = ManifestFacts(mediaType: type, children: children, subject: subject)
            catalog.apply(.manifest(try self.digest(name), facts, size: 10, repository: repository, at: 1_800_000_000))
        }
        func blob(_ name: Character) throws -> Edge {
            catalog.apply(.blob(try self.digest(name), size: 100, repository: repository, at: 1_800_000_000))
            return Edge(role: .layer, digest: try self.digest(name), size: 100)
        }
        try manifest("a", [try blob("1")])
        try manifest(
            "0",
            [
                Edge(role: .manifest, digest: try self.digest("a"), size: 10, platform: "linux/amd64"),
                Edge(role: .manifest, digest: try self.digest("b"), size: 10, platform: "linux/arm64"),
            ], type: .ociIndex)
        try manifest("c", [try blob("2")])
        try manifest("d", [try blob("3")], subject: try self.digest("a"))
        try manifest("e", [try blob("4")])
        try manifest("f", [Edge(role: .manifest, digest: try self.digest("e"), size: 10)], type: .ociIndex)
        let zeros = String(repeating: "0", count: 64)
        for (tag, name) in [("latest", "0"), ("sha256-\(zeros).sig", "c"), ("sha256-\(zeros)", "f")] as [(String, Character)] {
            catalog.apply(.tag(try Tag(parsing: tag), repository, try self.digest(name), fetchedAt: 1_800_000_100))
        }
        return (catalog, repository)
    }

    @Test("an image's referrers are counted, by whichever way they are attached")
    func referrers() throws {
        let (catalog, _) = try Self.catalog()
        let image = try #require(ImageListing(catalog).images.first { $0.tag?.description == "latest" })
        #expect(image.referrers == 3)
        #expect(image.platforms == ["linux/amd64"])
        #expect(image.absentPlatforms == 1)
        #expect(image.isComplete)
        #expect(image.entry?.fetchedAt == 1_800_000_100)
        #expect(!image.isImported)
        // They are no images of their own, but for those that have a name.
        #expect(ImageListing(catalog).images.allSatisfy { $0.tag != nil })
    }

    @Test("an image that lacks a layer, or has no platform at all, is not complete")
    func incomplete() throws {
        let (catalog, repository) = try Self.catalog()
        catalog.apply(.deleted(try Self.digest("1")))
        let part = try #require(ImageListing(catalog).images.first { $0.tag?.description == "latest" })
        #expect(part.missing == 1)
        #expect(!part.isComplete)
        catalog.apply(.deleted(try Self.digest("a")))
        let none = try #require(ImageListing(catalog).images.first { $0.tag?.description == "latest" })
        #expect(none.missing == 0)
        #expect(none.platforms.isEmpty)
        #expect(!none.isComplete)
        #expect(none.repository == repository)
    }
}
