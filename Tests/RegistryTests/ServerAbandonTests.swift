import Foundation
import PullThrough
import TestSupport
import Testing

/// C1: what becomes of a download that nobody follows any more.
@Suite struct ServerAbandonTests {
    private static let size = 24 << 20

    private static func options(_ folder: TemporaryDirectory, finish: Bool) -> ServerHarness.Options {
        var options = ServerHarness.Options(storePath: folder.path("store"))
        options.finishAbandoned = finish
        options.caution.abandonment = .milliseconds(50)
        return options
    }

    /// Reads a part of a blob while its upstream holds the rest back, and goes.
    private static func pullPart(_ digest: String, _ server: ServerHarness, reading count: Int) async throws {
        let client = try await RawConnection.connect(server.port)
        try await client.request("GET", "/v2/library/nginx/blobs/\(digest)")
        _ = try await client.readHead()
        _ = try await client.readBody(count: count)
        client.reset()
    }

    @Test("finishAbandoned: the download goes on to its end without anybody")
    func finished() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: Self.size, seed: 62)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 20 << 20, gate))
        let folder = try TemporaryDirectory()
        try await ServerHarness.run(upstream, Self.options(folder, finish: true)) { server async throws in
            try await Self.pullPart(digest, server, reading: 1 << 20)
            gate.open()
            try await server.waitUntilStored(digest)
            #expect(upstream.requests("GET", contains: digest).count == 1)
        }
    }

    @Test(
        "not finishAbandoned: the upstream is hung up on, and the next client goes on by Range, also after a restart",
        arguments: [false, true])
    func stopped(_ restarts: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: Self.size, seed: 63)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 20 << 20, gate))
        let folder = try TemporaryDirectory()
        let options = Self.options(folder, finish: false)
        let goOn: @Sendable (ServerHarness) async throws -> Void = { server in
            let response = try await server.blob(digest)
            #expect(response.isComplete)
            #expect(response.body == bytes)
            let requests = upstream.requests("GET", contains: digest)
            #expect(requests.count == 2)
            #expect(requests.last?.header("range") == "bytes=\(20 << 20)-")
            try await server.waitUntilStored(digest)
            try await server.expectQuiet()
        }
        try await ServerHarness.run(upstream, options) { server async throws in
            try await Self.pullPart(digest, server, reading: 19 << 20)
            try await eventually("the download is given up") { server.cache.downloads.count == 0 }
            try await upstream.waitForOpenConnections { $0 == 0 }
            #expect(try server.spoolEntries().count == 1)
            if !restarts { try await goOn(server) }
        }
        if restarts { try await ServerHarness.run(upstream, options, goOn) }
        gate.open()
    }

    @Test("not finishAbandoned: a small part is not worth keeping, and the next client begins anew")
    func small() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 4 << 20, seed: 64)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 2 << 20, gate))
        let folder = try TemporaryDirectory()
        try await ServerHarness.run(upstream, Self.options(folder, finish: false)) { server async throws in
            try await Self.pullPart(digest, server, reading: 1 << 20)
            try await server.expectQuiet()
            #expect(try await server.blob(digest).body == bytes)
            #expect(upstream.requests("GET", contains: digest).map { $0.header("range") } == [nil, nil])
        }
        gate.open()
    }

    @Test("not finishAbandoned: while one client of two stays, the download does; and so it does for one that comes back soon")
    func followed() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 4 << 20, seed: 65)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 2 << 20, gate))
        let folder = try TemporaryDirectory()
        var options = Self.options(folder, finish: false)
        options.caution.abandonment = .seconds(600)
        try await ServerHarness.run(upstream, options) { server async throws in
            // Nobody at all for a moment: shorter than it takes to give up.
            try await Self.pullPart(digest, server, reading: 1 << 20)
            async let whole = server.blob(digest)
            try await Self.pullPart(digest, server, reading: 1 << 20)
            gate.open()
            #expect(try await whole.body == bytes)
            #expect(upstream.requests("GET", contains: digest).count == 1)
        }
    }

    @Test("not finishAbandoned: a client that leaves before the upstream has answered ends the question")
    func waiting() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 100_000, seed: 66), in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .stallBeforeHead(gate))
        let folder = try TemporaryDirectory()
        try await ServerHarness.run(upstream, Self.options(folder, finish: false)) { server async throws in
            let client = try await RawConnection.connect(server.port)
            try await client.request("GET", "/v2/library/nginx/blobs/\(digest)")
            try await gate.waitUntilReached()
            client.reset()
            try await server.expectQuiet()
            try await upstream.waitForOpenConnections { $0 == 0 }
        }
        gate.open()
    }
}
