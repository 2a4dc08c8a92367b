import OCI
import TestSupport
import Testing

@testable import Storage

struct StoreContentTests {
    @Test("what was stored is there after a restart: blobs, manifest, tag")
    func restart() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let contents = try [Sample.hello(), Sample.abc(), Sample.empty(), Sample.long(), Sample.manifest()]
            let tag = try Tag(parsing: "latest")
            let manifest = try Sample.manifest().digest
            try await fixture.withStore { (store) async throws in
                for content in contents { try await store.put(content, in: repository) }
                store.setTag(tag, in: repository, to: manifest)
            }
            try await fixture.withStore { (store) async throws in
                for content in contents {
                    #expect(store.catalog.holds(content.digest, in: repository))
                    #expect(try await store.contents(of: content.digest) == content.bytes)
                    #expect(store.catalog.content(content.digest)?.storedAt == fixture.clock.now)
                }
                #expect(store.catalog.content(manifest)?.manifest == (try Sample.manifest().facts))
                let entry = try #require(store.catalog.tag(tag, in: repository))
                #expect(entry.digest == manifest)
                #expect(entry.fetchedAt == fixture.clock.now)
                #expect(entry.confirmedAt == nil)
                #expect(store.catalog.total.blobs == 5)
            }
        }
    }

    @Test("what only registries that are kept apart have given is nobody else's, also for a manifest that names it")
    func apart() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let secret = try Sample.repository("team/secret", in: "private.example")
            let (open, other) = (try Sample.repository("a", in: "docker.io"), try Sample.repository("b", in: "ghcr.io"))
            let (hello, abc, manifest) = (try Sample.hello(), try Sample.abc(), try Sample.manifest())
            try await fixture.withStore { (store) async throws in
                store.keepRepositoriesApart(in: [secret.namespace])
                try await store.put(hello, in: secret)
                try await store.put(abc, in: open)
                #expect(store.mayHave(hello.digest, in: secret))
                #expect(!store.mayHave(hello.digest, in: try Sample.repository("team/else", in: "private.example")))
                #expect(!store.mayHave(hello.digest, in: open))
                #expect(store.mayHave(abc.digest, in: other))
                #expect(!store.mayHave(abc.digest, in: secret))
                try await store.put(manifest, in: open)
                for child in manifest.facts?.children ?? [] where child.digest == hello.digest {
                    #expect(!store.catalog.holds(child.digest, in: open))
                }
                store.link(hello.digest, to: open)
                #expect(store.mayHave(hello.digest, in: other), "a registry for everybody has confirmed it")
            }
        }
    }

    @Test("a shard that somebody removed is made again for the blob that belongs there")
    func missingShard() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let hello = try Sample.hello()
            let path = fixture.path(StoreFixture.blobPath(hello.digest))
            try await fixture.withStore { (store) async throws in
                try Disk.remove(String(path[..<(try #require(path.lastIndex(of: "/")))]))
                try await store.put(hello, in: try Sample.repository())
                #expect(try await store.contents(of: hello.digest) == hello.bytes)
            }
            #expect(try Disk.read(path) == hello.bytes)
        }
    }

    @Test("what the journal has is there after a crash")
    func crash() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let hello = try Sample.hello()
            do {
                // Let go without `close`: the lock is freed, as the kernel does for a killed process.
                let store = try await fixture.open()
                try await store.put(hello, in: repository)
                store.setTag(try Tag(parsing: "a"), in: repository, to: hello.digest)
                try await store.journal.append([])
            }
            try await Self.waitUntilFree(fixture)
            try await fixture.withStore { (store) async throws in
                #expect(try await store.contents(of: hello.digest) == hello.bytes)
                #expect(try store.catalog.tag(Tag(parsing: "a"), in: repository)?.digest == hello.digest)
            }
        }
    }

    /// The last job on a pool may hold the store for a moment longer than the test does.
    private static func waitUntilFree(_ fixture: StoreFixture) async throws {
        try await eventually("the lock of a store that was let go") {
            let root = try StoreRoot(opening: .init(fixture.path))
            do {
                _ = try StoreLock(in: root, role: "probe")
                return true
            } catch let error as StorageError where error.code == .inUse {
                return false
            }
        }
    }

    @Test("content of another digest is never published, and nothing of it stays")
    func wrongDigest() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let abc = try Sample.abc()
                for wrong in [[], Array("abd".utf8), Array("abcd".utf8), Array("ab".utf8)] as [[UInt8]] {
                    let error = await #expect(throws: StorageError.self) {
                        try await onThread {
                            var writer = try store.makeWriter(for: abc.digest)
                            try wrong.withUnsafeBytes { try writer.append($0) }
                            try writer.publish()
                        }
                    }
                    #expect(error?.code == .digestMismatch)
                    #expect(!Disk.exists(fixture.path(StoreFixture.blobPath(abc.digest))))
                    #expect(try Disk.names(in: fixture.path("spool")).isEmpty)
                }
                let error = await #expect(throws: StorageError.self) { try await store.contents(of: abc.digest) }
                #expect(error?.code == .notFound)
            }
        }
    }

    @Test("a writer that is let go leaves nothing; while it lasts its file can be read")
    func abandoned() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let abc = try Sample.abc()
                try await onThread {
                    var writer = try store.makeWriter(for: abc.digest)
                    try abc.bytes.withUnsafeBytes { try writer.append($0) }
                    #expect(writer.byteCount == 3)
                    #expect(writer.currentDigest() == abc.digest)
                    #expect(try Disk.names(in: fixture.path("spool")).count == 1)
                    #expect(try Disk.names(in: fixture.path("spool"))[0].hasPrefix("sha256-\(Sample.abcHex)."))
                    var bytes = [UInt8](repeating: 0, count: 8)
                    #expect(try bytes.withUnsafeMutableBytes { try writer.file.read(at: 1, into: $0) } == 2)
                    #expect(bytes[..<2] == Array("bc".utf8)[...])
                }
                #expect(try Disk.names(in: fixture.path("spool")).isEmpty)
            }
        }
    }

    @Test("a published file is read-only, and it is the spool file itself")
    func published() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let abc = try Sample.abc()
                let inode = try await onThread {
                    var writer = try store.makeWriter(for: abc.digest)
                    try abc.bytes.withUnsafeBytes { try writer.append($0) }
                    let name = try Disk.names(in: fixture.path("spool"))[0]
                    let inode = try Disk.inode(fixture.path("spool/\(name)"))
                    try writer.publish()
                    return inode
                }
                let path = fixture.path(StoreFixture.blobPath(abc.digest))
                #expect(try Disk.inode(path) == inode)
                #expect(try Disk.status(path).st_mode & 0o777 == 0o444)
                #expect(try Disk.read(path) == abc.bytes)
            }
        }
    }

    @Test("publishing the same content twice is success and changes nothing")
    func twice() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let repository = try Sample.repository()
                let abc = try Sample.abc()
                try await store.put(abc, in: repository)
                let path = fixture.path(StoreFixture.blobPath(abc.digest))
                let inode = try Disk.inode(path)
                try await store.put(abc, in: repository)
                #expect(try Disk.inode(path) == inode)
                #expect(try Disk.names(in: fixture.path("spool")).isEmpty)
                #expect(store.catalog.total == Catalog.Totals(blobs: 1, bytes: 3, allocated: 4_096))
            }
        }
    }

    @Test("publishing over a file of another size fails, and the file is left alone")
    func otherSize() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let abc = try Sample.abc()
                let path = StoreFixture.blobPath(abc.digest)
                try fixture.write(Array("damaged".utf8), to: path)
                let repository = try Sample.repository()
                await #expect(throws: StorageError.self) { try await store.put(abc, in: repository) }
                #expect(try Disk.read(fixture.path(path)) == Array("damaged".utf8))
                #expect(try Disk.names(in: fixture.path("spool")).isEmpty)
                #expect(store.catalog.content(abc.digest) == nil)
            }
        }
    }

    @Test("a file of the wrong size goes to quarantine and counts as absent", arguments: ["", "ab", "abcd"])
    func wrongSize(_ text: String) async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let abc = try Sample.abc()
            let path = fixture.path(StoreFixture.blobPath(abc.digest))
            try await fixture.withStore { try await $0.put(abc, in: repository) }
            try Disk.remove(path)
            try Disk.write(Array(text.utf8), to: path, mode: 0o444)
            try await fixture.withStore { (store) async throws in
                let error = await #expect(throws: StorageError.self) { try await store.contents(of: abc.digest) }
                #expect(error?.code == .notFound)
                #expect(store.catalog.content(abc.digest) == nil)
                #expect(!Disk.exists(path))
                #expect(try Disk.read(fixture.path("quarantine/sha256-\(Sample.abcHex)")) == Array(text.utf8))
                try await store.put(abc, in: repository)
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
            }
            try await fixture.withStore { (store) async throws in
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
            }
        }
    }

    @Test("a file that somebody deleted is forgotten, also after a restart")
    func missing() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let abc = try Sample.abc()
            try await fixture.withStore { try await $0.put(abc, in: repository) }
            try Disk.remove(fixture.path(StoreFixture.blobPath(abc.digest)))
            try await fixture.withStore { (store) async throws in
                let error = await #expect(throws: StorageError.self) { try await store.contents(of: abc.digest) }
                #expect(error?.code == .notFound)
            }
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.content(abc.digest) == nil)
            }
        }
    }

    @Test("a last use is known at once, and the journal is told once an hour")
    func lastUse() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let manifest = try Sample.manifest()
            let start = fixture.clock.now
            try await fixture.withStore { (store) async throws in
                try await store.put(manifest, in: repository)
                for seconds in [0, 3_599, 3_600, 3_601] as [Int64] {
                    fixture.clock.set(to: start + seconds)
                    store.noteUse(of: manifest.digest)
                    #expect(store.catalog.content(manifest.digest)?.usedAt == start + seconds)
                }
            }
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.content(manifest.digest)?.usedAt == start + 3_600)
            }
        }
    }

    @Test("a tag that is gone stays gone; its content stays")
    func removedTag() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let manifest = try Sample.manifest()
            let tag = try Tag(parsing: "latest")
            try await fixture.withStore { (store) async throws in
                try await store.put(manifest, in: repository)
                store.setTag(tag, in: repository, to: manifest.digest)
                store.removeTag(tag, in: repository)
            }
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.tag(tag, in: repository) == nil)
                #expect(try await store.contents(of: manifest.digest) == manifest.bytes)
            }
        }
    }
}
