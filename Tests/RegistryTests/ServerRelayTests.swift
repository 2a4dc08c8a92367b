import Foundation
import TestSupport
import Testing

/// No room, still an answer.
@Suite struct ServerRelayTests {
    @Test("what the cap forbids to store is relayed, verified, for each client")
    func overCap() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 2 << 20, seed: 21)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream, .init(maxSize: 1 << 20)) { server async throws in
            for _ in 0..<2 {
                let response = try await server.blob(digest)
                #expect(response.isComplete)
                #expect(response.body == bytes)
                #expect(response.header("x-amargo-cache") == "MISS")
            }
            #expect(try !server.isStored(digest))
            try await server.expectQuiet()
        }
    }

    @Test("a relay withholds its tail: a wrong blob is cut")
    func wrongRelay() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 2 << 20, seed: 22)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.scriptForever(.blob(digest), .corrupt(at: 5))
        try await ServerHarness.run(upstream, .init(maxSize: 1 << 20)) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.status != 200 || !response.isComplete)
            #expect(response.body.count <= (2 << 20) - 65_536)
        }
    }

    @Test("when room ends half-way, every client goes on from what is stored, by Range, to a right end")
    func halfWay() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 24 << 20, seed: 23)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        // Of unknown length: room is reserved in steps, and the cap ends it after some of them.
        upstream.script(.blob(digest), .chunked())
        try await ServerHarness.run(upstream, .init(maxSize: 10 << 20)) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for _ in 0..<4 { clients.addTask { try await server.blob(digest) } }
                for try await response in clients {
                    #expect(response.isComplete)
                    #expect(response.body == bytes)
                }
            }
            let ranged = upstream.requests("GET", contains: digest).compactMap { $0.header("range") }
            #expect(!ranged.isEmpty, "nobody went on from what had been stored")
            #expect(try !server.isStored(digest))
            try await server.expectQuiet()
            #expect(server.store.catalog.total.bytes <= 10 << 20)
        }
    }

    @Test("a file system that fills half-way costs no client its bytes", .enabled(if: geteuid() == 0, "mounting needs root"))
    func fullDisk() async throws {
        let folder = try TemporaryDirectory()
        let mount = folder.path("disk")
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        try await Shell.run("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", mount)
        do {
            try await self.pullOntoFullDisk(mount)
        } catch {
            try await Shell.run("umount", "-l", mount)
            throw error
        }
        try await Shell.run("umount", "-l", mount)
    }

    @Test("where the disk fills at every pull, no client misses a byte", .enabled(if: geteuid() == 0, "mounting needs root"))
    func nearlyFullDisk() async throws {
        let folder = try TemporaryDirectory()
        let mount = folder.path("disk")
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        try await Shell.run("mount", "-t", "tmpfs", "-o", "size=1200k,mode=0700", "tmpfs", mount)
        let upstream = try ScriptedUpstream()
        // As known to the client as can be, and not at all: a hole shows as a hang in the one, as a short body in the other.
        upstream.scriptForever(.init(contains: "/chunked/"), .chunked())
        let blobs = (0..<24).map { Fixtures.pseudoRandomBytes(count: 1_500_000, seed: UInt64(100 + $0)) }
        let names = blobs.enumerated().map { upstream.addBlob($1, in: $0 % 2 == 0 ? "framed/x" : "chunked/x") }
        do {
            try await ServerHarness.run(upstream, .init(storePath: mount + "/store")) { server async throws in
                try await withThrowingTaskGroup(of: (Int, RawResponse).self) { clients in
                    for number in blobs.indices {
                        clients.addTask {
                            (number, try await server.blob(names[number], in: number % 2 == 0 ? "framed/x" : "chunked/x"))
                        }
                    }
                    for try await (number, response) in clients {
                        #expect(response.isComplete)
                        #expect(response.body == blobs[number])
                    }
                }
            }
        } catch {
            try await Shell.run("umount", "-l", mount)
            throw error
        }
        try await Shell.run("umount", "-l", mount)
    }

    private func pullOntoFullDisk(_ mount: String) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 24 << 20, seed: 24)
        let large = upstream.addBlob(bytes, in: "library/nginx")
        let few = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 25)
        let small = upstream.addBlob(few, in: "library/nginx")
        try await ServerHarness.run(upstream, .init(storePath: mount + "/store")) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for _ in 0..<4 { clients.addTask { try await server.blob(large) } }
                for try await response in clients {
                    #expect(response.isComplete)
                    #expect(response.body == bytes)
                }
            }
            #expect(try !server.isStored(large))
            try await server.expectQuiet()
            // The room is free again, and what fits is stored as ever.
            // (An unlinked file gives its room back when the last client has let go of it.)
            try await eventually("what fits is stored again", within: .seconds(10)) {
                let response = try await server.blob(small)
                #expect(response.body == few)
                return response.header("x-amargo-cache") == "HIT"
            }
        }
    }
}

/// A system command, on a thread of its own.
enum Shell {
    static func run(_ arguments: String...) async throws {
        let status = try await onThread { try ShellCommand.run(arguments).status }
        guard status == 0 else { throw HarnessError() }
    }
}
