import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import Registry
import Storage
import TestSupport
import Testing

@testable import amargo

/// What is said of a store, of real ones in temporary folders.
struct StoreChecksTests {
    /// A store that this process has opened.
    private final class Open: Sendable {
        let store: ContentStore
        private let server: AdminServer
        private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        private let pools = StorePools(reading: 1, writing: 1)

        init(_ path: String) async throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let settings = try Settings(storePath: path)
            self.pools.start()
            self.store = try ContentStore.open(
                settings.storeConfiguration, role: "serve", pools: self.pools, loop: self.group.next(), openFiles: 16,
                logger: logger,
                now: { 1_800_000_000 })
            self.server = AdminServer(
                StoreAdministration(store: self.store, role: "serve", version: "9.9.9"), group: self.group, logger: logger)
            await self.server.start()
        }

        func end() async throws {
            await self.server.stop()
            await self.store.close()
            await self.pools.shutdown()
            try await self.group.shutdownGracefully()
        }
    }

    private static func folder(_ path: String, user: HostUser = .current) -> [Diagnosis] {
        StoreFolderCheck(path: path, origin: "default", user: user).look()
    }

    private static func content(_ path: String) -> [Diagnosis] { StoreContentCheck(path: path, now: 1_800_000_000).look() }

    private static let stranger = HostUser(id: 65_534)

    @Test("folders that are no store yet, and some that cannot become one")
    func folders() throws {
        let made = try MadeUpHost(["/file": "x", "/other/notes.txt": "x", "/closed/x/keep": ""])
        #expect(Self.folder(made.path("/not/yet")).map(\.verdict) == [.note])
        #expect(Self.folder(made.path("/file")).map(\.verdict) == [.problem])
        let other = Self.folder(made.path("/other"))
        #expect(other.map(\.verdict) == [.problem])
        #expect(other.text.contains("holds \"notes.txt\""))
        #expect(chmod(made.path("/other"), 0o777) == 0)
        #expect(Self.folder(made.path("/other")).text.contains("chmod go-w"))
        let foreign = Self.folder(made.path("/closed"), user: Self.stranger)
        #expect(foreign.map(\.verdict) == [.warning])
        #expect(foreign.text.contains("it was not looked at"))
        let unmakeable = Self.folder(made.path("/closed/y"), user: Self.stranger)
        #expect(unmakeable.map(\.verdict) == [.problem])
        #expect(unmakeable.text.contains("cannot make it in"))
        #expect(Self.content(made.path("/not/yet")).isEmpty, "that it is not there is said once")
    }

    @Test("a store that is held, closed, and left behind by a kill")
    func holder() async throws {
        let made = try TemporaryDirectory()
        let path = made.path("store")
        let open = try await Open(path)
        #expect(Self.folder(path).map(\.verdict) == [.ok])
        let held = try await onThread { StoreHolderCheck(path: path, patience: 5, version: "9.9.9").look() }
        #expect(held.map(\.verdict) == [.ok])
        #expect(held.text.contains("amargo serve (pid \(getpid())) has the store open, and answers"))
        let other = try await onThread { StoreHolderCheck(path: path, patience: 5, version: "1.0.0").look() }
        #expect(other.verdicts("server.version") == [.warning])
        #expect(other.text.contains("is version 9.9.9, this program 1.0.0"))
        #expect(Self.content(path).verdicts("store.journal") == [.ok])
        let running = LimitsCheck(storePath: path).look()
        #expect(running.text.contains("the running server may open"))
        try await open.end()
        #expect(StoreHolderCheck(path: path, patience: 1).look().text.contains("closed properly"))
        try Data("12 serve\n".utf8).write(to: URL(fileURLWithPath: "\(path)/store.lock"))
        #expect(StoreHolderCheck(path: path, patience: 1).look().map(\.verdict) == [.note])
    }

    @Test("a lock that is held by somebody who does not listen")
    func deaf() async throws {
        let made = try TemporaryDirectory()
        let path = made.path("store")
        let open = try await Open(path)
        #expect(unlink("\(path)/amargo.sock") == 0)
        #expect(try await onThread { StoreHolderCheck(path: path, patience: 1).look() }.map(\.verdict) == [.warning])
        // Somebody who accepts and says nothing.
        let root = try StoreRoot(folder: path)
        let socket = try root.listen(on: StoreLayout.socket)
        let silent = try await onThread { StoreHolderCheck(path: path, patience: 1).look() }
        close(socket)
        #expect(silent.map(\.verdict) == [.problem])
        #expect(silent.text.contains("has not answered for 1 s"))
        try await open.end()
    }

    @Test("a journal that is torn, damaged, kept or gone")
    func journals() async throws {
        let made = try TemporaryDirectory()
        let path = made.path("store")
        try await Open(path).end()
        let journal = URL(fileURLWithPath: "\(path)/journal.jsonl")
        let whole = try Data(contentsOf: journal)
        #expect(Self.content(path).verdicts("store.journal") == [.ok])
        try (whole + Data("{\"g\":1".utf8)).write(to: journal)
        let torn = Self.content(path)
        #expect(torn.verdicts("store.journal") == [.note])
        #expect(torn.text.contains("(6 bytes)"))
        try Data("no journal at all\n".utf8).write(to: journal)
        #expect(Self.content(path).verdicts("store.journal") == [.warning])
        try FileManager.default.removeItem(at: journal)
        #expect(Self.content(path).verdicts("store.journal") == [.note])
        try Data().write(to: URL(fileURLWithPath: "\(path)/journal.jsonl.bad-3"))
        #expect(Self.content(path).text.contains("journal.jsonl.bad-3"))
    }

    @Test("damaged blobs that were set aside, a newer format, a store.json that is none, and foreign files")
    func leftovers() async throws {
        let made = try TemporaryDirectory()
        let path = made.path("store")
        try await Open(path).end()
        let clean = Self.content(path)
        #expect(clean.verdicts("store.quarantine") == [.ok])
        let hex = String(repeating: "0", count: 64)
        try Data(repeating: 1, count: 10).write(to: URL(fileURLWithPath: "\(path)/quarantine/sha256-\(hex)"))
        let damaged = Self.content(path)
        #expect(damaged.verdicts("store.quarantine") == [.warning])
        #expect(damaged.text.contains("1 damaged blob ("))
        try Data("{\"amargo\":\"store\",\"format\":2,\"id\":\"12345678\"}".utf8).write(
            to: URL(fileURLWithPath: "\(path)/store.json"))
        let newer = Self.content(path)
        #expect(newer.map(\.id) == ["store.format"])
        #expect(newer.map(\.verdict) == [.problem])
        try Data("{".utf8).write(to: URL(fileURLWithPath: "\(path)/store.json"))
        #expect(Self.content(path).map(\.verdict) == [.problem])
        try Data().write(to: URL(fileURLWithPath: "\(path)/mine.txt"))
        #expect(Self.folder(path).text.contains("holds \"mine.txt\""))
    }

    @Test("a clock behind what the store has seen, and links that work")
    func clock() async throws {
        let made = try TemporaryDirectory()
        let path = made.path("store")
        let open = try await Open(path)
        let store = open.store
        try await onThread {
            // printf abc | sha256sum
            let digest = try Digest(parsing: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
            var writer = try store.makeWriter(for: digest)
            try Array("abc".utf8).withUnsafeBytes { try writer.append($0) }
            let name = QualifiedRepository(namespace: try Namespace(parsing: "docker.io"), name: try RepositoryName(parsing: "a"))
            try store.publish(writer, facts: nil, in: name)
        }
        try await open.end()
        let now = Self.content(path)
        #expect(now.verdicts("clock.store").isEmpty)
        // A layout is written a second behind its content: until then there is nothing to say of links.
        #expect(now.verdicts("store.links").isEmpty, "\(now.text)")
        let later = StoreContentCheck(path: path, now: 1_800_000_011).look()
        #expect(later.verdicts("store.links") == [.ok], "\(later.text)")
        #expect(now.text.contains("1 blobs, 3 bytes"))
        let behind = StoreContentCheck(path: path, now: 1_799_996_400).look()
        #expect(behind.verdicts("clock.store") == [.warning])
        // date -u -d @1800000000
        #expect(behind.text.contains("it is 2027-01-15 07:00:00Z here, and the store has seen 2027-01-15 08:00:00Z"))
    }
}
