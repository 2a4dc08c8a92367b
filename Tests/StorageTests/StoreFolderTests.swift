import Glibc
import OCI
import TestSupport
import Testing

@testable import Storage

/// What happens to the folder itself while a store is open: RELIABILITY.md, L3 and P16.
struct StoreFolderTests {
    @Test("a folder that is gone is never made anew; when it is back, all is known again")
    func gone() async throws {
        try await StoreFixture.run { fixture async throws in
            let repository = try Sample.repository()
            let (abc, hello) = (try Sample.abc(), try Sample.hello())
            try await fixture.withStore { store async throws in
                for content in [abc, hello] { try await store.put(content, in: repository) }
                store.setTag(try Tag(parsing: "v1"), in: repository, to: abc.digest)
                try await store.journal.append([])
                try Disk.move(fixture.path, to: "\(fixture.path).away")
                try await onThread { store.watchFolder() }
                #expect(store.degradation?.contains("is gone") == true)
                let refusal = await #expect(throws: StorageError.self) {
                    _ = try await onThread { try store.capacity.reserve(1, for: repository.namespace).bytes }
                }
                #expect(refusal?.message.contains("is gone") == true)
                try await onThread { store.flushLayouts() }
                #expect(!Disk.exists(fixture.path))
                // Somebody's empty folder in its place is not it.
                try Disk.makeFolder(fixture.path)
                try await onThread { store.watchFolder() }
                #expect(store.degradation != nil)
                #expect(try Disk.names(in: fixture.path).isEmpty)
                try Disk.remove(fixture.path)
                try Disk.move("\(fixture.path).away", to: fixture.path)
                try await onThread { store.watchFolder() }
                #expect(store.degradation == nil)
                #expect(try await store.contents(of: hello.digest) == hello.bytes)
                #expect(try store.catalog.tag(Tag(parsing: "v1"), in: repository)?.digest == abc.digest)
            }
        }
    }

    @Test("content that cannot be found while the folder is gone is no loss for the journal")
    func goneAndAsked() async throws {
        try await StoreFixture.run { fixture async throws in
            let abc = try Sample.abc()
            try await fixture.withStore { store async throws in
                try await store.put(abc, in: try Sample.repository())
                try await store.journal.append([])
                let path = fixture.path(StoreFixture.blobPath(abc.digest))
                try Disk.move(path, to: "\(path).away")
                try Disk.move(fixture.path, to: "\(fixture.path).away")
                await #expect(throws: StorageError.self) { try await store.contents(of: abc.digest) }
                try Disk.move("\(fixture.path).away", to: fixture.path)
                try Disk.move("\(path).away", to: path)
                try await onThread { store.watchFolder() }
            }
            try await fixture.withStore { store async throws in
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
            }
        }
    }

    @Test("a file with as many links as it can have is remembered by the journal alone")
    func tooManyLinks() async throws {
        try await StoreFixture.run { fixture async throws in
            let abc = try Sample.abc()
            let repositories = try (1...12).map { try Sample.repository("library/r\($0)") }
            try await fixture.withStore { store async throws in
                try await store.put(abc, in: repositories[0])
                // 65,000 on ext4; a file system that has no limit makes this an ordinary test.
                let blob = fixture.path(StoreFixture.blobPath(abc.digest))
                try Disk.makeFolder(fixture.folder.path("links"))
                var made = 1
                while made < 64_995, Glibc.link(blob, fixture.folder.path("links/\(made)")) == 0 { made += 1 }
                for repository in repositories.dropFirst() { store.link(abc.digest, to: repository) }
                try await onThread { store.flushLayouts() }
                // With the blob itself, the links beside the store and twelve layouts, or as many as the file system allows.
                let links = try Int(Disk.status(blob).st_nlink)
                #expect(links == 64_995 + 12 || links == 65_000)
            }
            try await fixture.withStore { store async throws in
                for repository in repositories {
                    #expect(store.catalog.holds(abc.digest, in: repository))
                    #expect(Disk.exists(fixture.path("repositories/\(repository)/_oci/index.json")))
                }
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
                try await onThread { try store.remove([abc.digest]) }
            }
            #expect(!Disk.exists(fixture.path(StoreFixture.blobPath(abc.digest))))
            #expect(try Disk.names(in: fixture.path("repositories")).isEmpty)
        }
    }

    private static let isLong = getenv("AMARGO_LONG_TESTS").map { String(cString: $0) == "1" } ?? false

    @Test(
        "65,100 repositories share a blob, more than a file has links", .enabled(if: Self.isLong, "AMARGO_LONG_TESTS=1 runs it"))
    func manyRepositories() async throws {
        try await StoreFixture.run { fixture async throws in
            let abc = try Sample.abc()
            let repositories = try (1...65_100).map { try Sample.repository("library/r\($0)") }
            try await fixture.withStore { store async throws in
                try await store.put(abc, in: repositories[0])
                for repository in repositories.dropFirst() { store.link(abc.digest, to: repository) }
                try await onThread { store.flushLayouts() }
                let links = try Int(Disk.status(fixture.path(StoreFixture.blobPath(abc.digest))).st_nlink)
                #expect(links >= 65_000)
            }
            try await fixture.withStore { store async throws in
                #expect(store.catalog.repositories(holding: abc.digest).count == 65_100)
                for repository in [repositories[0], repositories[65_099]] {
                    #expect(store.catalog.holds(abc.digest, in: repository))
                    #expect(Disk.exists(fixture.path("repositories/\(repository)/_oci/index.json")))
                }
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
                try await onThread { try store.remove([abc.digest]) }
                try await onThread { store.flushLayouts() }
                #expect(store.catalog.allRepositories.isEmpty)
            }
            #expect(try Disk.names(in: fixture.path("repositories")).isEmpty)
        }
    }
}
