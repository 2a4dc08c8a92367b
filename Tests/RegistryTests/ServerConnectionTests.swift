import OCI
import TestSupport
import Testing

@testable import Registry

/// `Limits.Server`, as clients meet it: how many they may be, and how long they may take. Small limits stand for the real ones,
/// whose values `ConnectionLedgerTests` and `ClientPatienceTests` hold.
@Suite struct ServerConnectionTests {
    private static func limits(_ change: (inout ServerLimits) -> Void) -> ServerHarness.Options {
        var options = ServerHarness.Options()
        change(&options.limits)
        return options
    }

    /// A connection with one answered request behind it.
    private static func idleConnection(_ server: ServerHarness) async throws -> RawConnection {
        let connection = try await RawConnection.connect(server.port)
        try await connection.request("GET", "/v2/")
        _ = try await connection.readHead()
        _ = try await connection.readToEnd()
        return connection
    }

    @Test("the limits are those of RELIABILITY.md")
    func values() {
        let limits = ServerLimits()
        #expect(limits.connections == 4096)
        #expect(limits.connectionsPerClient == 256)
        #expect(limits.request == .seconds(10))
        #expect(limits.idle == .seconds(60))
        #expect(limits.takingWindow == .seconds(60))
        #expect(limits.takenInWindow == 60 * 1024)
    }

    @Test(
        "B: idle floods; connections: above the limit a 503 that says when to come back, readable and closed",
        arguments: [true, false])
    func connections(_ ofOneClient: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 1000, seed: 74), in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .stallBeforeHead(gate))
        let options = Self.limits { limits in
            if ofOneClient { limits.connectionsPerClient = 2 } else { limits.connections = 2 }
            limits.lingering = .seconds(60)
        }
        try await ServerHarness.run(upstream, options) { server async throws in
            var busy: [RawConnection] = []
            for _ in 0..<2 {
                let connection = try await RawConnection.connect(server.port)
                try await connection.request("GET", "/v2/library/nginx/blobs/\(digest)")
                busy.append(connection)
            }
            try await eventually("the upstream is asked") { upstream.requests("GET").count == 1 }
            try await eventually("both wait, so that one more is refused") {
                let refused = try await server.get("/v2/")
                guard refused.status == 503 else { return false }
                #expect(refused.header("retry-after") == "1")
                #expect(refused.header("connection") == "close")
                #expect(refused.header("content-type") == "application/json")
                #expect(refused.text.contains("\"UNAVAILABLE\""))
                #expect(refused.isComplete)
                return true
            }
            gate.open()
            for connection in busy {
                #expect(try await connection.readHead().status == 200)
                #expect(try await connection.readToEnd().isComplete)
                connection.close()
            }
            try await eventually("there is room again") { try await server.get("/v2/").status == 200 }
        }
    }

    @Test("B: idle floods; an idle connection makes room for a new one; the one that has been idle for longest")
    func idleMakesRoom() async throws {
        let options = Self.limits { limits in
            limits.connections = 3
            limits.idleGrace = .zero
        }
        try await ServerHarness.run(try ScriptedUpstream(), options) { server async throws in
            let first = try await Self.idleConnection(server)
            let second = try await Self.idleConnection(server)
            // Half a request is as good as none.
            let third = try await RawConnection.connect(server.port)
            try await third.send("GET /v2/ HTT")
            let fourth = try await Self.idleConnection(server)
            #expect(try await first.readRaw(upTo: 1).isEmpty)
            try await second.request("GET", "/v2/")
            #expect(try await second.readHead().status == 200)
            _ = try await second.readToEnd()
            let fifth = try await Self.idleConnection(server)
            #expect(try await third.readRaw(upTo: 1).isEmpty)
            for connection in [first, second, third, fourth, fifth] { connection.close() }
        }
    }

    @Test("refusals: of those above the limit only so many are told; the others are closed at once")
    func refusals() async throws {
        let options = Self.limits { limits in
            limits.connections = 0
            limits.refusals = 1
            limits.lingering = .seconds(60)
        }
        try await ServerHarness.run(try ScriptedUpstream(), options) { server async throws in
            let told = try await RawConnection.connect(server.port)
            #expect(try await told.readHead().status == 503)
            let dropped = try await RawConnection.connect(server.port)
            #expect(try await dropped.readRaw(upTo: 1).isEmpty)
            told.close()
            dropped.close()
            try await eventually("the next is told again") {
                let next = try await RawConnection.connect(server.port)
                defer { next.close() }
                return try await !next.readRaw(upTo: 1).isEmpty
            }
        }
    }

    @Test("lingering: who is told a last answer and does not close is closed")
    func lingering() async throws {
        let options = Self.limits { limits in limits.lingering = .milliseconds(100) }
        try await ServerHarness.run(try ScriptedUpstream(), options) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            try await connection.request("PUT", "/v2/", headers: [("Content-Length", "10")])
            #expect(try await connection.readHead().status == 405)
            _ = try await connection.readToEnd()
            #expect(try await connection.readRaw(upTo: 1).isEmpty)
            try await eventually("it is reset") {
                do {
                    try await connection.send("x")
                    return false
                } catch {
                    return true
                }
            }
            connection.close()
        }
    }

    @Test(
        "B: slow requests; request: one that does not arrive is given up, also one that drips; a connection that is merely idle is not"
    )
    func request() async throws {
        let options = Self.limits { limits in limits.request = .milliseconds(200) }
        try await ServerHarness.run(try ScriptedUpstream(), options) { server async throws in
            let idle = try await Self.idleConnection(server)
            let silent = try await RawConnection.connect(server.port)
            try await silent.send("GET /v2/ HTTP/1.1\r\nHo")
            #expect(try await silent.readRaw(upTo: 1).isEmpty)
            silent.close()
            let dripping = try await RawConnection.connect(server.port)
            try await dripping.send("GET /v2/ HTTP/1.1\r\nX: ")
            try await eventually("it is closed although it sends", within: .seconds(10)) {
                do {
                    try await dripping.send("x")
                    return false
                } catch {
                    return true
                }
            }
            dripping.close()
            try await idle.request("GET", "/v2/")
            #expect(try await idle.readHead().status == 200)
            idle.close()
        }
    }

    @Test("C7: half-open connection; idle: a connection between two requests is closed in the end, also one that never had any")
    func idle() async throws {
        let options = Self.limits { limits in limits.idle = .milliseconds(200) }
        try await ServerHarness.run(try ScriptedUpstream(), options) { server async throws in
            for connection in [try await Self.idleConnection(server), try await RawConnection.connect(server.port)] {
                #expect(try await connection.readRaw(upTo: 1).isEmpty)
                connection.close()
            }
        }
    }

    @Test("B: slow reads; takingWindow: a reader that stands still is cut, one that is slow but reads is not")
    func taking() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 10 << 20, seed: 75)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let options = Self.limits { limits in
            limits.takingWindow = .seconds(1)
            limits.takenInWindow = 1 << 10
        }
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            let still = try await RawConnection.connect(server.port, receiveBuffer: 16 << 10)
            try await still.request("GET", "/v2/library/nginx/blobs/\(digest)")
            let slow = try await RawConnection.connect(server.port, receiveBuffer: 64 << 10)
            try await slow.request("GET", "/v2/library/nginx/blobs/\(digest)")
            #expect(try await slow.readHead().status == 200)
            // So slow that one slice takes longer than the window.
            var taken: [UInt8] = []
            let start = ContinuousClock.now
            try await eventually("more than three windows have passed") {
                taken += try await slow.read(upTo: 4 << 10)
                return start.duration(to: .now) > .milliseconds(3500)
            }
            #expect(taken == Array(bytes[..<taken.count]))
            #expect(try await slow.ending() == nil)
            slow.close()
            _ = try await still.readHead()
            #expect(try await still.readToEnd(discardingBytes: true).isComplete == false)
            still.close()
        }
    }
}
