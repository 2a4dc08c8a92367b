import OCI
import TestSupport
import Testing

@testable import Storage

/// A journal that is gone: names come back from the layouts, content by its hash.
struct StoreRebuildTests {
    private static let layout = "repositories/docker.io/library/nginx/_oci"

    /// Makes a store with a tagged image and throws its journal away.
    private static func makeStoreWithoutJournal(_ fixture: StoreFixture) async throws {
        let repository = try Sample.repository()
        let manifest = try Sample.manifest()
        try await fixture.withStore { (store) async throws in
            for content in try [Sample.hello(), Sample.abc(), manifest] { try await store.put(content, in: repository) }
            store.setTag(try Tag(parsing: "latest"), in: repository, to: manifest.digest)
        }
        try Disk.remove(fixture.path("journal.jsonl"))
    }

    private static func checkIsRebuilt(_ store: ContentStore) async throws {
        let repository = try Sample.repository()
        let manifest = try Sample.manifest()
        let entry = try #require(store.catalog.tag(try Tag(parsing: "latest"), in: repository))
        #expect(entry.digest == manifest.digest)
        #expect(entry.fetchedAt == 0, "nobody knows when it was confirmed")
        #expect(try await onThread { store.adoptUnknownBlobs { false } } == 3)
        #expect(store.catalog.content(manifest.digest)?.manifest == manifest.facts)
        #expect(try await store.contents(of: Sample.abc().digest) == Array("abc".utf8))
        #expect(store.catalog.holds(try Sample.abc().digest, in: repository))
    }

    @Test("tags and content are back, and stay")
    func rebuilds() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.makeStoreWithoutJournal(fixture)
            try await fixture.withStore { (store) async throws in try await Self.checkIsRebuilt(store) }
            try await fixture.withStore { (store) async throws in
                let entry = try #require(store.catalog.tag(try Tag(parsing: "latest"), in: try Sample.repository()))
                #expect(entry.digest == (try Sample.manifest().digest))
                #expect(store.catalog.total.blobs == 3)
            }
        }
    }

    @Test("what somebody put among the layouts is passed over")
    func strangers() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.makeStoreWithoutJournal(fixture)
            let outside = fixture.folder.path("outside")
            try Disk.makeFolder(outside)
            try Disk.makeFolder("\(outside)/_oci")
            let index = try Disk.read(fixture.path("\(Self.layout)/index.json"))
            try Disk.write(index, to: "\(outside)/_oci/index.json")
            for folder in ["repositories", "repositories/docker.io", "repositories/docker.io/library"] {
                try fixture.write(Array("mine".utf8), to: "\(folder)/notes.txt")
                try fixture.write(Array("mine".utf8), to: "\(folder)/file")
                try Disk.link(outside, at: fixture.path("\(folder)/linked"))
                try Disk.link(outside, at: fixture.path("\(folder)/linked.example"))
                try Disk.makePipe(fixture.path("\(folder)/pipe"))
                try Disk.makeFolder(fixture.path("\(folder)/Not A Name"))
            }
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.allRepositories == [try Sample.repository()])
                try await Self.checkIsRebuilt(store)
            }
        }
    }

    @Test("an index that is no file, or no index, names nothing; its content is found all the same")
    func badIndex() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.makeStoreWithoutJournal(fixture)
            let path = fixture.path("\(Self.layout)/index.json")
            let secret = fixture.folder.path("secret")
            try Disk.move(path, to: secret)
            for step in ["link", "pipe", "folder", "garbage"] {
                switch step {
                case "link": try Disk.link(secret, at: path)
                case "pipe": try Disk.makePipe(path)
                case "folder": try Disk.makeFolder(path)
                default: try Disk.write(Array("{".utf8), to: path)
                }
                try await fixture.withStore { (store) async throws in
                    let repository = try Sample.repository()
                    #expect(store.catalog.tags(in: repository).isEmpty, "\(step)")
                    #expect(store.catalog.contents(of: repository).count == 3, "\(step)")
                    #expect(try await onThread { store.adoptUnknownBlobs { false } } == 3, "\(step)")
                }
                try Disk.remove(fixture.path("journal.jsonl"))
                try Disk.remove(path)
            }
        }
    }
}
