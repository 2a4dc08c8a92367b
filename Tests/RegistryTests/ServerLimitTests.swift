import OCI
import TestSupport
import Testing

@testable import Registry

/// `Limits.Server`, as clients meet it: what a request may be.
@Suite struct ServerLimitTests {
    private static func field(_ name: String, bytes: Int) -> String {
        "\(name): \(String(repeating: "v", count: bytes - name.utf8.count))\r\n"
    }

    /// Sends a request on a connection of its own; the response, and that the connection is closed behind an error.
    private static func ask(_ text: String, of server: ServerHarness) async throws -> RawResponse {
        let connection = try await RawConnection.connect(server.port)
        defer { connection.close() }
        try await connection.send(text)
        let response = RawResponse(head: try await connection.readHead(), content: try await connection.readToEnd())
        #expect(response.isComplete)
        if response.status != 200 {
            #expect(response.text.contains("\"UNSUPPORTED\""))
            // What could be read as a whole costs nobody the connection.
            if response.header("connection") == "close" { #expect(try await connection.readRaw(upTo: 1).isEmpty) }
        }
        return response
    }

    @Test(
        "B: header flood; headField: 8 KiB of name and value, one byte more is a 431",
        arguments: [(8192, 200), (8193, 431), (300_000, 431)])
    func headField(_ bytes: Int, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let request = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\(Self.field("x", bytes: bytes))\r\n"
            #expect(try await Self.ask(request, of: server).status == status)
        }
    }

    @Test(
        "B: header flood; headBlock: 32 KiB of target and fields, one byte more is a 431",
        arguments: [(32_768, 200), (32_769, 431)])
    func headBlock(_ bytes: Int, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            // Four bytes of target and five of Host.
            let sizes = [8000, 8000, 8000, bytes - 24_000 - 4 - 5 - 8000, 8000]
            let fields = sizes.map { Self.field("x", bytes: $0) }.joined()
            let request = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
            #expect(try await Self.ask(request, of: server).status == status)
        }
    }

    @Test("B: header flood; headFields: 64 of them, one more is a 431", arguments: [(64, 200), (65, 431), (100_000, 431)])
    func headFields(_ count: Int, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let fields = String(repeating: "x: y\r\n", count: count - 1)
            #expect(try await Self.ask("GET /v2/ HTTP/1.1\r\nHost: a\r\n\(fields)\r\n", of: server).status == status)
        }
    }

    @Test(
        "target: 4 KiB, one byte more is a 414, also where the parser gives up first",
        arguments: [(4096, 200), (4097, 414), (8192, 414), (8193, 414), (200_000, 414)])
    func target(_ bytes: Int, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let target = "/v2/?" + String(repeating: "x", count: bytes - 5)
            #expect(try await Self.ask("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n", of: server).status == status)
        }
    }

    @Test(
        "what is no HTTP is a 400, another version a 505", arguments: [("GET\r\n\r\n", 400), ("GET /v2/ HTTP/2.0\r\n\r\n", 505)])
    func malformed(_ text: String, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            #expect(try await Self.ask(text, of: server).status == status)
        }
    }

    @Test(
        "C6: a body with GET; requestBody: 64 KiB are read and forgotten, of more the connection is closed unanswered",
        arguments: [65_536, 65_537])
    func requestBody(_ bytes: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            let head = "GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: \(bytes)\r\n\r\n"
            try await connection.send(head + String(repeating: "x", count: bytes))
            guard bytes > 65_536 else {
                #expect(try await connection.readHead().status == 200)
                return
            }
            let error = await #expect(throws: TestSupportError.self) { try await connection.readHead() }
            #expect(error?.code == .closed || error?.code == .reset)
        }
    }

    @Test(
        "C6: Expect: 100-continue is answered at once and for good, whether by GET or by a push",
        arguments: [("GET", 200), ("PUT", 405)])
    func expect(_ method: String, _ status: Int) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.request(
                method, "/v2/", headers: [("Expect", "100-continue"), ("Content-Length", "1000000")])
            let head = try await connection.readHead()
            #expect(head.status == status)
            #expect(head.informational.isEmpty)
            #expect(head.header("connection") == "close")
            #expect(try await connection.readToEnd().isComplete)
            // Whoever sends the body all the same is not reset for it.
            try await connection.send(String(repeating: "x", count: 100_000))
            #expect(try await connection.readRaw(upTo: 1).isEmpty)
        }
    }

    @Test("C6: discarded: a client that goes on sending after its last answer is cut")
    func discarded() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.request("PUT", "/v2/", headers: [("Content-Length", "30000000")])
            #expect(try await connection.readHead().status == 405)
            let error = await #expect(throws: TestSupportError.self) {
                try await connection.send(String(repeating: "x", count: 30_000_000))
            }
            #expect(error?.code == .reset)
        }
    }

    @Test("a client that has ended its side gets its answer, from memory, from the store and from a running download")
    func halfClosed() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 3 << 20, seed: 71)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let connection = try await RawConnection.connect(server.port)
                try await connection.request("GET", "/v2/library/nginx/blobs/\(digest)")
                try await connection.endSending()
                #expect(try await connection.readHead().status == 200)
                #expect(try await connection.readToEnd().bytes == bytes)
                #expect(try await connection.readRaw(upTo: 1).isEmpty)
                connection.close()
                try await server.waitUntilStored(digest)
            }
            let connection = try await RawConnection.connect(server.port)
            try await connection.request("GET", "/v2/")
            try await connection.endSending()
            #expect(try await connection.readHead().status == 200)
            #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
            #expect(try await connection.readRaw(upTo: 1).isEmpty)
            connection.close()
            let idle = try await RawConnection.connect(server.port)
            try await idle.endSending()
            #expect(try await idle.readRaw(upTo: 1).isEmpty)
            idle.close()
        }
    }

    // MARK: - Pipelining

    private static let small = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("C10: two thousand requests in one go are answered one after the other, while others get their turn")
    func pipelining() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.send(String(repeating: Self.small, count: 2_000))
            for _ in 0..<2_000 {
                #expect(try await connection.readHead().status == 200)
                _ = try await connection.readToEnd()
            }
            #expect(try await server.get("/v2/").status == 200)
        }
    }

    @Test("C10: readAhead: while an answer is due, further requests are not read: they wait in the client")
    func readAhead() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 1000, seed: 72), in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .stallBeforeHead(gate))
        try await ServerHarness.run(upstream) { server async throws in
            let connection = try await RawConnection.connect(server.port, timeout: .milliseconds(300))
            defer { connection.close() }
            try await connection.request("GET", "/v2/library/nginx/blobs/\(digest)")
            // More than the kernel takes on both sides.
            let error = await #expect(throws: TestSupportError.self) {
                try await connection.send(String(repeating: Self.small, count: 1_000_000))
            }
            #expect(error?.code == .timedOut)
            gate.open()
        }
    }

    @Test("C10: pipelined: who leaves a flood of requests behind an answer and ends its side is cut")
    func pipelined() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 1000, seed: 73), in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .stallBeforeHead(gate))
        #expect(ServerLimits().pipelined == 64 * 1024)
        var options = ServerHarness.Options()
        // The kernel tells of an end only when it has all bytes before it: few enough for its first window.
        options.limits.pipelined = 16 << 10
        try await ServerHarness.run(upstream, options) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.request("GET", "/v2/library/nginx/blobs/\(digest)")
            try await eventually("the upstream is asked") { upstream.requests.count == 1 }
            try await connection.send(String(repeating: Self.small, count: 1_200))
            try await connection.endSending()
            let error = await #expect(throws: TestSupportError.self) { try await connection.readHead() }
            #expect(error?.code == .closed || error?.code == .reset)
            gate.open()
        }
    }
}
