import Glibc
import OCI
import TestSupport
import Testing

@testable import Storage

struct StoreOpeningTests {
    @Test("a new store has its folders, with the right modes")
    func new() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                #expect(
                    try Disk.names(in: fixture.path) == [
                        "blobs", "journal.jsonl", "quarantine", "repositories", "spool", "store.json", "store.lock",
                    ])
                #expect(try Disk.status(fixture.path).st_mode & 0o777 == 0o700)
                #expect(try Disk.names(in: fixture.path("blobs")) == ["sha256", "sha512"])
                #expect(try Disk.names(in: fixture.path("blobs/sha256")).count == 256)
                #expect(try Disk.names(in: fixture.path("blobs/sha512")).last == "ff")
                #expect(store.identity.id.utf8.count == 8)
                #expect(try Disk.text(fixture.path("store.json")).contains("\"id\":\"\(store.identity.id)\""))
                #expect(try Disk.text(fixture.path("store.lock")) == "\(getpid()) serve\n")
            }
        }
    }

    @Test("folders above the store are made")
    func nested() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let path = fixture.path("a/b/c")
            let store = try await fixture.open(at: path)
            #expect(Disk.exists("\(path)/store.json"))
            await store.close()
        }
    }

    @Test("a second one on the same store is refused and told who holds it")
    func locked() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let store = try await fixture.open(role: "serve")
            let error = await #expect(throws: StorageError.self) { try await fixture.open(role: "import") }
            #expect(error?.code == .inUse)
            #expect(error?.message.contains("amargo serve (pid \(getpid()))") == true)
            #expect(try Disk.text(fixture.path("store.lock")) == "\(getpid()) serve\n")
            await store.close()
        }
    }

    @Test("the lock goes with its holder")
    func unlocked() throws {
        let folder = try TemporaryDirectory()
        for role in ["import", "serve"] {
            let (_, lock, _) = try StoreIdentity.open(at: .init(folder.path("store")), role: role)
            #expect(try Disk.text(folder.path("store/store.lock")) == "\(getpid()) \(role)\n")
            withExtendedLifetime(lock) {}
        }
    }

    @Test("a store keeps its id")
    func identity() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let first = try await fixture.withStore { $0.identity }
            let second = try await fixture.withStore { $0.identity }
            #expect(first == second)
        }
    }

    @Test("a folder that others may write to is refused and left as it is", arguments: [0o770, 0o720, 0o702, 0o777] as [mode_t])
    func writableByOthers(_ mode: mode_t) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try Disk.makeFolder(fixture.path, mode: mode)
            let error = await #expect(throws: StorageError.self) { try await fixture.open() }
            #expect(error?.code == .unusable)
            #expect(error?.message.contains("chmod go-w") == true)
            #expect(try Disk.names(in: fixture.path).isEmpty)
        }
    }

    @Test("a folder that others may only read is fine", arguments: [0o700, 0o750, 0o755] as [mode_t])
    func readableByOthers(_ mode: mode_t) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try Disk.makeFolder(fixture.path, mode: mode)
            try await fixture.withStore { _ in }
        }
    }

    @Test(
        "a folder with other things in it is refused and left as it is", arguments: ["notes.txt", "index.json", ".git", "Blobs"])
    func strangers(_ name: String) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try Disk.makeFolder(fixture.path)
            try Disk.write(Array("mine".utf8), to: fixture.path(name))
            let error = await #expect(throws: StorageError.self) { try await fixture.open() }
            #expect(error?.code == .unusable)
            #expect(error?.message.contains(name) == true)
            #expect(try Disk.names(in: fixture.path) == [name])
            #expect(try Disk.text(fixture.path(name)) == "mine")
        }
    }

    @Test("the root of an empty file system is a place for a store")
    func lostAndFound() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try Disk.makeFolder(fixture.path)
            try Disk.makeFolder(fixture.path("lost+found"), mode: 0o700)
            try await fixture.withStore { _ in }
        }
    }

    @Test("a file is no store; the path to one may be a symbolic link")
    func notFolders() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try Disk.write([], to: fixture.path)
            await #expect(throws: StorageError.self) { try await fixture.open() }
            try Disk.remove(fixture.path)
            try Disk.makeFolder(fixture.folder.path("elsewhere"))
            try Disk.link(fixture.folder.path("elsewhere"), at: fixture.path)
            try await fixture.withStore { _ in }
            #expect(try Disk.names(in: fixture.folder.path("elsewhere")).contains("store.json"))
            try Disk.remove(fixture.folder.path("elsewhere/store.json"))
            await #expect(throws: StorageError.self, "a folder with other things") { try await fixture.open() }
        }
    }

    @Test(
        "a store.json that cannot be believed is refused and left as it is",
        arguments: [
            ("{\"amargo\":\"store\",\"format\":2,\"id\":\"0badcafe\"}", StorageError.Code.tooNew),
            ("{\"amargo\":\"store\",\"format\":1}", .unusable), ("{\"id\":\"0badcafe\"}", .unusable), ("{", .unusable),
            ("not json", .unusable), ("{\"format\":1,\"format\":2,\"id\":\"0badcafe\"}", .unusable),
        ])
    func badIdentity(_ text: String, _ code: StorageError.Code) async throws {
        try await StoreFixture.run { (fixture) async throws in
            try Disk.makeFolder(fixture.path, mode: 0o700)
            try fixture.write(Array(text.utf8), to: "store.json")
            let error = await #expect(throws: StorageError.self) { try await fixture.open() }
            #expect(error?.code == code)
            #expect(try Disk.names(in: fixture.path) == ["store.json"])
            #expect(try Disk.text(fixture.path("store.json")) == text)
        }
    }

    @Test("a journal of another store, of a newer format, or with a line not to be ignored is refused and left as it is")
    func foreignJournals() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let id = try await fixture.withStore { $0.identity.id }
            let own = JournalLine.header(generation: 1, store: id, live: 0)
            let required = JournalLine.encode(generation: 1, sequence: 1, payload: Array("\"op\":\"x\",\"req\":true".utf8))
            let journals: [([UInt8], StorageError.Code)] = [
                (JournalLine.header(generation: 1, store: "00000000", live: 0), .unusable), (own + required, .tooNew),
                // python3: zlib.crc32 of everything before `,"c"`
                (
                    Array(
                        (#"{"amargo":"journal","format":2,"minReader":2,"g":1,"store":"4f6c1b0e","live":0,"c":"68d21a76"}"#
                            + "\n").utf8), .tooNew
                ),
            ]
            for (journal, code) in journals {
                try fixture.write(journal, to: "journal.jsonl")
                let error = await #expect(throws: StorageError.self) { try await fixture.open() }
                #expect(error?.code == code)
                #expect(try Disk.read(fixture.path("journal.jsonl")) == journal)
            }
        }
    }

    @Test("what an earlier process left in spool/ goes, what is not ours stays")
    func spool() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { _ in }
            try fixture.write(Array("ab".utf8), to: "spool/sha256-\(Sample.abcHex).4294967297")
            try fixture.write([], to: "spool/sha512-\(Sample.abc512Hex).0")
            try fixture.write(Array("mine".utf8), to: "spool/notes.txt")
            try fixture.write(Array("mine".utf8), to: "spool/sha256-\(Sample.abcHex).x")
            try fixture.write([], to: "journal.jsonl.new")
            try await fixture.withStore { (_) async throws in
                #expect(try Disk.names(in: fixture.path("spool")) == ["notes.txt", "sha256-\(Sample.abcHex).x"])
                #expect(!Disk.exists(fixture.path("journal.jsonl.new")))
            }
        }
    }
}
