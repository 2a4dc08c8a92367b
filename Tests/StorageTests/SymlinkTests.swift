import OCI
import TestSupport
import Testing

@testable import Storage

/// A local user who can write somewhere in the store cannot make it read or write elsewhere: RELIABILITY.md §3.8.
struct SymlinkTests {
    @Test("a blob that is a symbolic link is neither served nor adopted")
    func blob() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let abc = try Sample.abc()
            let repository = try Sample.repository()
            let path = fixture.path(StoreFixture.blobPath(abc.digest))
            let secret = fixture.folder.path("secret")
            try Disk.write(abc.bytes, to: secret)
            try await fixture.withStore { try await $0.put(abc, in: repository) }
            try Disk.remove(path)
            try Disk.link(secret, at: path)
            try await fixture.withStore { (store) async throws in
                await #expect(throws: StorageError.self) { try await store.contents(of: abc.digest) }
            }
            try Disk.remove(fixture.path("journal.jsonl"))
            try await fixture.withStore { (store) async throws in
                #expect(try await onThread { store.adopt(abc.digest, in: repository) } == false)
                #expect(try await onThread { store.adoptUnknownBlobs { false } } == 0)
            }
            #expect(try Disk.read(secret) == abc.bytes)
        }
    }

    @Test("a shard that is a symbolic link is not followed")
    func shard() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let abc = try Sample.abc()
            let repository = try Sample.repository()
            let outside = fixture.folder.path("outside")
            try await fixture.withStore { _ in }
            try Disk.makeFolder(outside)
            try Disk.remove(fixture.path("blobs/sha256/ba"))
            try Disk.link(outside, at: fixture.path("blobs/sha256/ba"))
            try await fixture.withStore { (store) async throws in
                await #expect(throws: StorageError.self) { try await store.put(abc, in: repository) }
                #expect(try Disk.names(in: outside).isEmpty)
                try Disk.write(abc.bytes, to: "\(outside)/\(Sample.abcHex)")
                #expect(try await onThread { store.adopt(abc.digest, in: repository) } == false)
                #expect(try await onThread { store.adoptUnknownBlobs { false } } == 0)
                #expect(try Disk.names(in: fixture.path("spool")).isEmpty)
            }
            #expect(try Disk.names(in: outside) == [Sample.abcHex])
        }
    }

    @Test(
        "a layout is not written through a symbolic link",
        arguments: ["docker.io", "docker.io/library", "docker.io/library/nginx"])
    func repositories(_ planted: String) async throws {
        try await StoreFixture.run { (fixture) async throws in
            let outside = fixture.folder.path("outside")
            try Disk.makeFolder(outside)
            try await fixture.withStore { (store) async throws in
                var folder = fixture.path("repositories")
                for component in planted.split(separator: "/").dropLast() {
                    folder += "/\(component)"
                    try Disk.makeFolder(folder)
                }
                try Disk.link(outside, at: fixture.path("repositories/\(planted)"))
                let repository = try Sample.repository()
                try await store.put(try Sample.abc(), in: repository)
                try await onThread { store.flushLayouts() }
                #expect(try Disk.names(in: outside).isEmpty)
                #expect(try await store.contents(of: Sample.abc().digest) == Array("abc".utf8))
            }
        }
    }

    @Test("files of a layout that are symbolic links are replaced, not followed")
    func layoutFiles() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let victim = fixture.folder.path("victim")
            try Disk.write(Array("mine".utf8), to: victim)
            try await fixture.withStore { try await $0.put(try Sample.abc(), in: repository) }
            let folder = fixture.path("repositories/docker.io/library/nginx/_oci")
            for name in ["index.json", ".index.json.tmp", ".oci-layout.tmp"] {
                if Disk.exists("\(folder)/\(name)") { try Disk.remove("\(folder)/\(name)") }
                try Disk.link(victim, at: "\(folder)/\(name)")
            }
            try await fixture.withStore { try await $0.put(try Sample.hello(), in: repository) }
            #expect(try Disk.text(victim) == "mine")
            #expect(try Disk.text("\(folder)/index.json").contains("schemaVersion"))
        }
    }

    @Test(
        "store files that are symbolic links are refused",
        arguments: ["store.json", "store.lock", "journal.jsonl", "spool", "blobs"])
    func storeFiles(_ name: String) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { _ in }
            let elsewhere = fixture.folder.path("elsewhere")
            try Disk.move(fixture.path(name), to: elsewhere)
            try Disk.link(elsewhere, at: fixture.path(name))
            await #expect(throws: StorageError.self) { try await fixture.open() }
        }
    }
}
