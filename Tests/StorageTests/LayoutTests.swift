import Foundation
import OCI
import TestSupport
import Testing

@testable import Storage

/// Image spec, "Image Layout": what other tools find in a repository's folder.
struct LayoutTests {
    /// index.json as another reader sees it.
    private struct Index: Decodable {
        struct Descriptor: Decodable {
            let mediaType: String
            let digest: String
            let size: Int
            let annotations: [String: String]?
        }
        let schemaVersion: Int
        let mediaType: String
        let manifests: [Descriptor]
    }

    private static func index(_ folder: String) throws -> Index {
        try JSONDecoder().decode(Index.self, from: Data(try Disk.read("\(folder)/index.json")))
    }

    private static func flush(_ store: ContentStore) async throws { try await onThread { store.flushLayouts() } }

    @Test("a repository's folder is an image layout of hard links")
    func layout() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let repository = try Sample.repository()
                let contents = try [Sample.hello(), Sample.abc(), Sample.long(), Sample.manifest()]
                for content in contents { try await store.put(content, in: repository) }
                for tag in ["1.27", "latest"] { store.setTag(try Tag(parsing: tag), in: repository, to: contents[3].digest) }
                try await Self.flush(store)

                let folder = fixture.path("repositories/docker.io/library/nginx/_oci")
                #expect(try Disk.names(in: folder) == ["blobs", "index.json", "oci-layout"])
                #expect(try Disk.text("\(folder)/oci-layout") == "{\"imageLayoutVersion\":\"1.0.0\"}")
                for content in contents {
                    let link = "\(folder)/blobs/\(content.digest.algorithm.rawValue)/\(content.digest.hex)"
                    #expect(try Disk.inode(link) == Disk.inode(fixture.path(StoreFixture.blobPath(content.digest))))
                }
                let index = try Self.index(folder)
                #expect(index.schemaVersion == 2)
                #expect(index.mediaType == "application/vnd.oci.image.index.v1+json")
                #expect(index.manifests.map(\.digest) == Array(repeating: contents[3].digest.description, count: 2))
                #expect(index.manifests.map(\.size) == Array(repeating: contents[3].bytes.count, count: 2))
                #expect(index.manifests[0].mediaType == "application/vnd.oci.image.manifest.v1+json")
                #expect(index.manifests.map { $0.annotations?["org.opencontainers.image.ref.name"] } == ["1.27", "latest"])
            }
        }
    }

    @Test("a manifest that no tag leads to is listed by itself; a child of an index is not")
    func untagged() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let repository = try Sample.repository()
                let child = try Sample.manifest()
                try await store.put(child, in: repository)
                try await Self.flush(store)
                let folder = fixture.path("repositories/docker.io/library/nginx/_oci")
                #expect(try Self.index(folder).manifests.map(\.digest) == [child.digest.description])
                #expect(try Self.index(folder).manifests[0].annotations == nil)

                let bytes = Fixtures.imageIndex(manifests: [
                    .init(mediaType: "\(MediaType.ociManifest)", digest: "\(child.digest)", size: child.bytes.count)
                ])
                let parent = Sample.Content(
                    digest: try Digest(parsing: "sha256:\(sha256Hex(bytes))"), bytes: bytes,
                    facts: ManifestFacts(
                        mediaType: .ociIndex,
                        children: [Edge(role: .manifest, digest: child.digest, size: Int64(child.bytes.count))], subject: nil))
                try await store.put(parent, in: repository)
                try await Self.flush(store)
                #expect(try Self.index(folder).manifests.map(\.digest) == [parent.digest.description])
            }
        }
    }

    @Test("closing writes what is left, and a later process adds to it")
    func laterProcess() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let folder = fixture.path("repositories/docker.io/library/nginx/_oci")
            let manifest = try Sample.manifest()
            try await fixture.withStore { store async throws in
                for content in [try Sample.abc(), try Sample.hello(), manifest] { try await store.put(content, in: repository) }
            }
            #expect(Disk.exists("\(folder)/blobs/sha256/\(Sample.abcHex)"))
            try Disk.remove("\(folder)/blobs/sha256/\(Sample.abcHex)")
            try await fixture.withStore { try await $0.put(try Sample.empty(), in: repository) }
            let names = [Sample.helloHex, Sample.abcHex, Sample.emptyHex, manifest.digest.hex]
            #expect(try Disk.names(in: "\(folder)/blobs/sha256") == names.sorted())
        }
    }

    @Test("names that meet a layout's files lie side by side")
    func hostileNames() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let names = ["a", "a/blobs", "a/blobs/sha256", "a/index.json", "a/oci-layout", "a/blobs/sha256/\(Sample.abcHex)"]
            let abc = try Sample.abc()
            let manifest = try Sample.manifest()
            try await fixture.withStore { (store) async throws in
                for name in names {
                    let repository = try Sample.repository(name)
                    try await store.put(abc, in: repository)
                    try await store.put(manifest, in: repository)
                    store.setTag(try Tag(parsing: "latest"), in: repository, to: manifest.digest)
                }
                try await Self.flush(store)
                let inode = try Disk.inode(fixture.path(StoreFixture.blobPath(abc.digest)))
                for name in names {
                    let folder = fixture.path("repositories/docker.io/\(name)/_oci")
                    #expect(try Disk.names(in: folder) == ["blobs", "index.json", "oci-layout"])
                    #expect(try Disk.inode("\(folder)/blobs/sha256/\(Sample.abcHex)") == inode)
                    #expect(try Self.index(folder).manifests.map(\.digest) == [manifest.digest.description])
                }
                #expect(try Disk.status(fixture.path(StoreFixture.blobPath(abc.digest))).st_nlink == 7)
            }
            try await fixture.withStore { (store) async throws in
                for name in names { #expect(store.catalog.holds(abc.digest, in: try Sample.repository(name))) }
            }
        }
    }

    @Test("a blob that was damaged and fetched again is the same file in the layout")
    func refetched() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let abc = try Sample.abc()
            let path = fixture.path(StoreFixture.blobPath(abc.digest))
            let link = fixture.path("repositories/docker.io/library/nginx/_oci/blobs/sha256/\(Sample.abcHex)")
            try await fixture.withStore { try await $0.put(abc, in: repository) }
            // Damage in the file itself, so that the link is damaged too.
            #expect(try Disk.inode(path) == Disk.inode(link))
            try Disk.setMode(0o644, of: path)
            try Disk.write(Array("ab".utf8), to: path)
            try await fixture.withStore { (store) async throws in
                await #expect(throws: StorageError.self) { try await store.contents(of: abc.digest) }
                try await store.put(abc, in: repository)
                try await Self.flush(store)
                #expect(try Disk.read(path) == abc.bytes)
                #expect(try Disk.read(link) == abc.bytes)
                #expect(try Disk.inode(path) == Disk.inode(link))
            }
        }
    }
}
