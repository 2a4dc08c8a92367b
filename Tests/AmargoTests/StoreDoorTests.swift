import Archive
import ArgumentParser
import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import Registry
import Storage
import Synchronization
import TestSupport
import Testing

@testable import amargo

/// One writer, and whoever wants to write asks it: DESIGN §3.
struct StoreDoorTests {
    /// A store that this process holds, and answers for.
    private final class Holder: Sendable {
        let folder: TemporaryDirectory
        let settings: Settings
        let store: ContentStore
        let administration: StoreAdministration
        private let server: AdminServer
        private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        private let pools = StorePools(reading: 1, writing: 2)

        static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

        init(role: String) async throws {
            self.folder = try TemporaryDirectory()
            let settings = try Settings(storePath: self.folder.path("store"))
            self.settings = settings
            self.pools.start()
            let (pools, group) = (self.pools, self.group)
            let store = try await onThread {
                try ContentStore.open(
                    settings.storeConfiguration, role: role, pools: pools, loop: group.next(), openFiles: 16, logger: Self.quiet,
                    now: { 1_800_000_000 })
            }
            self.store = store
            self.administration = StoreAdministration(store: store, role: role, version: "1")
            self.server = AdminServer(self.administration, group: group, logger: Self.quiet)
            await self.server.start()
        }

        func end() async throws {
            await self.server.stop()
            await self.store.close()
            await self.pools.shutdown()
            try await self.group.shutdownGracefully()
        }
    }

    private static func perform(_ request: AdminRequest, _ settings: Settings) async throws -> (code: Int, events: [AdminEvent]) {
        let events = Mutex<[AdminEvent]>([])
        let code = try await StoreDoor(settings: settings).perform(request, role: "test") { event in
            events.withLock { $0.append(event) }
        }
        return (code, events.withLock { $0 })
    }

    @Test(
        "a request goes to the process that holds the store, and is its own when nobody does",
        arguments: ["serve", "gc", "nobody"])
    func wherever(_ role: String) async throws {
        let holder = try await Holder(role: role)
        if role == "nobody" { try await holder.end() }
        let (code, events) = try await Self.perform(.pin(["docker.io/library/nginx:1"]), holder.settings)
        #expect(code == 1)
        #expect(events.map(\.kind) == ["error"])
        #expect(events.first?.text("message") == "docker.io/library/nginx:1 is not stored; amargo ls shows what is")
        let collected = try await Self.perform(.collect(dryRun: true), holder.settings)
        #expect(collected.code == 0)
        #expect(collected.events.map(\.kind) == ["collected"])
        let socket = holder.folder.path("store/amargo.sock")
        var status = stat()
        if role != "nobody" {
            #expect(stat(socket, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        #expect((access(socket, F_OK) == 0) == (role != "nobody"))
        if role != "nobody" { try await holder.end() }
        #expect(access(socket, F_OK) != 0)
    }

    @Test("a server that starts asks a command to give way, and waits for it; another server it leaves alone")
    func givesWay() async throws {
        let holder = try await Holder(role: "import")
        let held = StorageError(.inUse, "the store is held")
        let attempts = Atomic<Int>(0)
        let hand = HandOver(path: holder.settings.storePath, logger: Holder.quiet)
        _ = try await hand.open {
            // Free as soon as the holder knows that somebody waits.
            guard attempts.add(1, ordering: .relaxed).newValue > 1, holder.administration.isAskedToEnd else { throw held }
            return holder.store
        }
        #expect(holder.administration.isAskedToEnd)
        try await holder.end()

        let server = try await Holder(role: "serve")
        let refusing = HandOver(path: server.settings.storePath, logger: Holder.quiet)
        await #expect(throws: StorageError.self) { _ = try await refusing.open { throw held } }
        #expect(!server.administration.isAskedToEnd)
        try await server.end()
    }

    @Test("imports that wait for silent pipes keep nobody else waiting, and end with the server", .timeLimit(.minutes(1)))
    func silentPipes() async throws {
        let holder = try await Holder(role: "serve")
        let path = holder.folder.path("pipe")
        try #require(mkfifo(path, 0o600) == 0)
        // Somebody who holds it open and never writes.
        let writer = open(path, O_RDWR | O_CLOEXEC)
        defer { close(writer) }
        let options = ImportOptions(naming: try holder.settings.bundleNaming())
        try await withThrowingTaskGroup(of: Int.self) { group in
            // More than the store has threads for writing.
            for _ in 0..<4 {
                let bundle = try #require(try BundlePaths.open([path]).first)
                group.addTask {
                    try await StoreDoor(settings: holder.settings).perform(
                        .importBundles(options, [bundle.input]), role: "test", bundles: [bundle], receive: { _ in })
                }
            }
            // Each request is answered by the time the next is: the imports run.
            for _ in 0..<8 {
                let (code, _) = try await Self.perform(.pin(["docker.io/library/nginx:1"]), holder.settings)
                #expect(code == 1)
            }
            holder.administration.end()
            for try await code in group { #expect(code == 2) }
        }
        try await holder.end()
    }

    @Test("there is no store to change where there is none")
    func missing() async throws {
        let folder = try TemporaryDirectory()
        let settings = try Settings(storePath: folder.path("nothing"))
        let error = await #expect(throws: StorageError.self) { _ = try await Self.perform(.collect(dryRun: false), settings) }
        #expect(error?.description.contains(folder.path("nothing")) == true)
        #expect(access(folder.path("nothing"), F_OK) != 0)
    }

    @Test(
        "what makes no sense on the socket is answered, not suffered",
        arguments: [
            "{\"kind\":\"future\"}", "{", "", "[]", "{\"kind\":\"pin\",\"images\":3}",
            "{\"kind\":\"pin\",\"images\":[\"a\\u0000b\"]}",
        ])
    func nonsense(_ line: String) async throws {
        let holder = try await Holder(role: "serve")
        let answer = try await onThread { () throws -> String in
            let descriptor = try #require(try StoreRoot(folder: holder.settings.storePath).connect(to: StoreLayout.socket))
            defer { close(descriptor) }
            let bytes = Array((line + "\n").utf8)
            #expect(write(descriptor, bytes, bytes.count) == bytes.count)
            var text: [UInt8] = []
            while !String(decoding: text, as: UTF8.self).contains("\"end\"") {
                var chunk = [UInt8](repeating: 0, count: 4_096)
                let count = read(descriptor, &chunk, chunk.count)
                guard count > 0 else { break }
                text += chunk[..<count]
            }
            return String(decoding: text, as: UTF8.self)
        }
        #expect(answer.contains("\"end\""))
        if !line.contains("images\":3") { #expect(answer.contains("\"error\"")) }
        try await holder.end()
    }

    @Test(
        "names are those that engines use",
        arguments: [
            ("nginx", "docker.io/library/nginx:latest"), ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"), ("index.docker.io/org/app:v1", "docker.io/org/app:v1"),
            ("ghcr.io/org/app", "ghcr.io/org/app:latest"), ("registry.local:5000/app:v1", "registry.local:5000/app:v1"),
            ("localhost/a", "localhost/a:latest"),
            (
                "quay.io/a/b:v1@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "quay.io/a/b@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            ),
        ])
    func names(_ written: String, _ full: String) throws {
        #expect(try StoreCommand.names([written], try Settings(storePath: "/nowhere")) == [full])
    }

    @Test(
        "what is no name is refused",
        arguments: ["", ":", "a:", "a@", "A", "a/../b", "a:b:c", "a@sha256:12", "https://a/b", "a b"])
    func noNames(_ written: String) throws {
        #expect(throws: ValidationError.self) { try StoreCommand.names([written], try Settings(storePath: "/nowhere")) }
    }
}
