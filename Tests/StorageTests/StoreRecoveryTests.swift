import OCI
import TestSupport
import Testing

@testable import Storage

/// What an open does about that which a crash, or somebody, left behind: RELIABILITY.md §3.5.
struct StoreRecoveryTests {
    /// Makes a store that holds "abc" and "hello\n" in one repository, with a tag for each.
    private static func fill(_ fixture: StoreFixture) async throws {
        let repository = try Sample.repository()
        try await fixture.withStore { (store) async throws in
            for (content, tag) in try [(Sample.abc(), "abc"), (Sample.hello(), "hello")] {
                try await store.put(content, in: repository)
                store.setTag(try Tag(parsing: tag), in: repository, to: content.digest)
            }
        }
    }

    private static func digest(of tag: String, in store: ContentStore) throws -> Digest? {
        try store.catalog.tag(Tag(parsing: tag), in: Sample.repository())?.digest
    }

    private static func lines(_ fixture: StoreFixture) throws -> [[UInt8]] {
        try Disk.read(fixture.path("journal.jsonl")).split(separator: 0x0A).map { Array($0) + [0x0A] }
    }

    @Test("a blob that the journal does not know is adopted when its bytes are right")
    func adopts() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let contents = try [Sample.abc(), Sample.long(), Sample.empty(), Sample.manifest()]
            try await fixture.withStore { _ in }
            for content in contents { try fixture.write(content.bytes, to: StoreFixture.blobPath(content.digest)) }
            for _ in 1...2 {
                try await fixture.withStore { (store) async throws in
                    for content in contents { #expect(store.catalog.content(content.digest) == nil) }
                    let adopted = try await onThread { store.adoptUnknownBlobs { false } }
                    #expect(adopted == 4)
                    for content in contents { #expect(try await store.contents(of: content.digest) == content.bytes) }
                    #expect(store.catalog.content(contents[3].digest)?.manifest == contents[3].facts)
                }
                try await fixture.withStore { (store) async throws in
                    for content in contents { #expect(store.catalog.content(content.digest) != nil) }
                }
                try Disk.remove(fixture.path("journal.jsonl"))
            }
        }
    }

    @Test("an unknown blob with wrong bytes goes to quarantine", arguments: ["abd", "ab", ""])
    func quarantines(_ text: String) async throws {
        try await StoreFixture.run { (fixture) async throws in
            let abc = try Sample.abc()
            let path = StoreFixture.blobPath(abc.digest)
            try await fixture.withStore { _ in }
            try fixture.write(Array(text.utf8), to: path)
            try await fixture.withStore { (store) async throws in
                let repository = try Sample.repository()
                #expect(try await onThread { store.adopt(abc.digest, in: repository) } == false)
                #expect(store.catalog.content(abc.digest) == nil)
                #expect(!Disk.exists(fixture.path(path)))
                #expect(try Disk.text(fixture.path("quarantine/sha256-\(Sample.abcHex)")) == text)
            }
        }
    }

    @Test("adopting for a repository links it there; what is not there is not adopted")
    func adoptsForRepository() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let abc = try Sample.abc()
            try await fixture.withStore { _ in }
            try await fixture.withStore { (store) async throws in
                let repository = try Sample.repository()
                #expect(try await onThread { store.adopt(abc.digest, in: repository) } == false)
                try fixture.write(abc.bytes, to: StoreFixture.blobPath(abc.digest))
                #expect(try await onThread { store.adopt(abc.digest, in: repository) })
                #expect(store.catalog.holds(abc.digest, in: repository))
            }
        }
    }

    @Test("names in a shard that are no digests, and folders, are not touched; a sweep can be stopped")
    func strangersInShards() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let abc = try Sample.abc()
            try await fixture.withStore { _ in }
            try fixture.write(abc.bytes, to: "blobs/sha256/ba/notes.txt")
            try Disk.makeFolder(fixture.path(StoreFixture.blobPath(abc.digest)))
            try await fixture.withStore { (store) async throws in
                #expect(try await onThread { store.adoptUnknownBlobs { false } } == 0)
                #expect(try await onThread { store.adoptUnknownBlobs { true } } == 0)
                #expect(Disk.exists(fixture.path("blobs/sha256/ba/notes.txt")))
            }
        }
    }

    @Test("a torn tail is cut off before anything is appended", arguments: [1, 100, 70_000])
    func tornTail(_ count: Int) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            let good = try Disk.read(fixture.path("journal.jsonl"))
            let tail = count == 1 ? [UInt8(ascii: "{")] : [UInt8](repeating: 0, count: count)
            try fixture.write(good + tail, to: "journal.jsonl")
            try await fixture.withStore { (store) async throws in
                #expect(try Disk.read(fixture.path("journal.jsonl")) == good)
                #expect(try Disk.read(fixture.path("journal.jsonl.torn")) == Array(tail.prefix(65_536)))
                #expect(try Self.digest(of: "hello", in: store) == Sample.hello().digest)
                store.setTag(try Tag(parsing: "new"), in: try Sample.repository(), to: try Sample.abc().digest)
            }
            #expect(try Disk.read(fixture.path("journal.jsonl")).starts(with: good))
            try await fixture.withStore { (store) async throws in
                for (tag, content) in try [("abc", Sample.abc()), ("hello", Sample.hello()), ("new", Sample.abc())] {
                    #expect(try Self.digest(of: tag, in: store) == content.digest)
                }
            }
            #expect(try Disk.names(in: fixture.path).filter { $0.contains(".bad-") }.isEmpty)
        }
    }

    @Test("a damaged line in the middle costs that line; the file is kept and a new one written")
    func gap() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            var lines = try Self.lines(fixture)
            let damaged = try #require(lines.firstIndex { String(decoding: $0, as: UTF8.self).contains("\"ref\":\"abc\"") })
            lines[damaged][20] ^= 1
            let journal = Array(lines.joined())
            try fixture.write(journal, to: "journal.jsonl")
            try await fixture.withStore { (store) async throws in
                #expect(try Self.digest(of: "abc", in: store) == nil)
                let entry = try #require(store.catalog.tag(try Tag(parsing: "hello"), in: try Sample.repository()))
                #expect(entry.digest == (try Sample.hello().digest))
                #expect(entry.fetchedAt == 0, "a time behind a gap is not believed")
                #expect(try await store.contents(of: Sample.abc().digest) == Array("abc".utf8))
            }
            #expect(try Disk.read(fixture.path("journal.jsonl.bad-1")) == journal)
            let header = try Disk.text(fixture.path("journal.jsonl")).prefix { $0 != "\n" }
            #expect(header.contains("\"g\":2,"))
            try await fixture.withStore { (store) async throws in
                #expect(try Self.digest(of: "hello", in: store) == Sample.hello().digest)
            }
            #expect(try Disk.names(in: fixture.path).filter { $0.contains(".bad-") } == ["journal.jsonl.bad-1"])
        }
    }

    @Test("at most two damaged journals are kept")
    func keepsTwo() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            for _ in 1...4 {
                var lines = try Self.lines(fixture)
                lines[1][20] ^= 1
                try fixture.write(Array(lines.joined()), to: "journal.jsonl")
                try await Self.fill(fixture)
            }
            let kept = try Disk.names(in: fixture.path).filter { $0.contains(".bad-") }
            #expect(kept == ["journal.jsonl.bad-3", "journal.jsonl.bad-4"])
        }
    }

    @Test("a journal without a header is kept aside, and its blobs are found again")
    func unreadable() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            let garbage = Fixtures.pseudoRandomBytes(count: 100_000, seed: 3)
            try fixture.write(garbage, to: "journal.jsonl")
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.total == Catalog.Totals())
                #expect(try await onThread { store.adoptUnknownBlobs { false } } == 2)
                #expect(try await store.contents(of: Sample.hello().digest) == Array("hello\n".utf8))
            }
            #expect(try Disk.read(fixture.path("journal.jsonl.bad-0")) == garbage)
        }
    }

    @Test("an empty or missing journal is a new one", arguments: [true, false])
    func noJournal(_ isEmpty: Bool) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { _ in }
            if isEmpty { try fixture.write([], to: "journal.jsonl") } else { try Disk.remove(fixture.path("journal.jsonl")) }
            try await Self.fill(fixture)
            try await fixture.withStore { (store) async throws in
                #expect(try Self.digest(of: "abc", in: store) == Sample.abc().digest)
            }
            #expect(try Disk.names(in: fixture.path).filter { $0.contains(".bad-") }.isEmpty)
        }
    }

    @Test("a tag from the future counts as confirmed now, no more")
    func future() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            fixture.clock.advance(by: -1_000_000)
            try await fixture.withStore { (store) async throws in
                let entry = try #require(store.catalog.tag(try Tag(parsing: "abc"), in: try Sample.repository()))
                #expect(entry.fetchedAt == fixture.clock.now)
            }
        }
    }

    @Test("a delete that a crash cut short is finished: layout link, blob, and the line that says so")
    func finishesDelete() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            let abc = try Sample.abc()
            let link = fixture.path("repositories/docker.io/library/nginx/_oci/blobs/sha256/\(Sample.abcHex)")
            #expect(Disk.exists(link))
            try await fixture.withStore { try await $0.journal.append([.delete(abc.digest)]) }
            #expect(Disk.exists(fixture.path(StoreFixture.blobPath(abc.digest))))
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.content(abc.digest) == nil)
                #expect(!Disk.exists(fixture.path(StoreFixture.blobPath(abc.digest))))
                #expect(!Disk.exists(link))
                #expect(try await store.contents(of: Sample.hello().digest) == Array("hello\n".utf8))
            }
            #expect(try Disk.text(fixture.path("journal.jsonl")).contains("\"op\":\"deleted\",\"d\":\"sha256:\(Sample.abcHex)\""))
            // Stored anew, it is not taken for the rest of that delete.
            let repository = try Sample.repository()
            try await fixture.withStore { try await $0.put(abc, in: repository) }
            try await fixture.withStore { (store) async throws in
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
            }
        }
    }

    @Test("a delete that was followed by new content is not finished")
    func overtakenDelete() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await Self.fill(fixture)
            let abc = try Sample.abc()
            try await fixture.withStore { (store) async throws in
                try await store.journal.append([.delete(abc.digest), .blob(abc.digest, size: 3, repository: nil, at: 1)])
            }
            try await fixture.withStore { (store) async throws in
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
            }
        }
    }
}
