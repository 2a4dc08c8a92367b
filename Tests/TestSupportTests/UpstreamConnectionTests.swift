import TestSupport
import Testing

struct UpstreamConnectionTests {
    private let upstream: ScriptedUpstream
    private let image: FixtureImage
    private var layerPath: String { self.image.blobPath(self.image.layerDigests[0]) }

    init() throws {
        self.upstream = try ScriptedUpstream()
        self.image = self.upstream.addImage(repository: "app", layerSizes: [100_000])
    }

    @Test("a connection carries several requests, also pipelined")
    func keepAlive() async throws {
        let connection = try await RawConnection.connect(self.upstream.port)
        for _ in 0..<2 {
            try await connection.request("GET", self.layerPath)
            _ = try await connection.readHead()
            #expect(try await connection.readToEnd(discardingBytes: true).count == 100_000)
        }
        try await connection.send(
            "HEAD \(self.layerPath) HTTP/1.1\r\nHost: a\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try await connection.readHead(method: "HEAD").header("Content-Length") == "100000")
        #expect(try await connection.readToEnd().isComplete)
        _ = try await connection.readHead()
        #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
        #expect(self.upstream.requests.map(\.connection) == [0, 0, 0, 0])
        #expect(self.upstream.requests[3].raw == Array("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        connection.close()
        try await self.upstream.waitForOpenConnections { $0 == 0 }
    }

    @Test("a gate before the head and one in the body hold exactly there")
    func gates() async throws {
        let (head, body) = (Gate(), Gate())
        self.upstream.script(.blob(), .stallBeforeHead(head).and(.holdAfter(bytes: 1000, body)))
        let connection = try await RawConnection.connect(self.upstream.port)
        try await connection.request("GET", self.layerPath)
        try await head.waitUntilReached()
        head.open()
        _ = try await connection.readHead()
        #expect(try await connection.readBody(count: 1000) == Array(self.image.layers[0].bytes.prefix(1000)))
        try await body.waitUntilReached()
        #expect(self.upstream.bodyBytesSent(for: self.upstream.requests[0]) == 1000)
        body.open()
        #expect(try await connection.readToEnd().count == 99_000)
    }

    @Test("a client that leaves is noticed at a gate, whether by FIN or RST", arguments: ["close", "reset"])
    func leavesAtGate(_ way: String) async throws {
        let gate = Gate()
        self.upstream.script(.any, .stallBeforeHead(gate))
        let connection = try await RawConnection.connect(self.upstream.port)
        try await connection.request("GET", "/v2/")
        try await gate.waitUntilReached()
        if way == "close" { connection.close() } else { connection.reset() }
        try await self.upstream.waitForOpenConnections { $0 == 0 }
    }

    @Test("a reset ends the read that is under way")
    func resetsWhileReading() async throws {
        self.upstream.script(.any, .stallBeforeHead(Gate()))
        let connection = try await RawConnection.connect(self.upstream.port)
        try await connection.request("GET", "/v2/")
        let read = Task { try await connection.readHead() }
        try await self.upstream.waitForRequests(count: 1)
        connection.reset()
        let error = await #expect(throws: TestSupportError.self) { _ = try await read.value }
        #expect(error?.code == .aborted)
    }

    @Test("a connection that was ended here is never used again")
    func usedAfterClose() async throws {
        for end in [RawConnection.close, RawConnection.reset] {
            let connection = try await RawConnection.connect(self.upstream.port)
            end(connection)()
            let error = await #expect(throws: TestSupportError.self) { _ = try await connection.readRaw(upTo: 1) }
            #expect(error?.code == .aborted)
            await #expect(throws: TestSupportError.self) { try await connection.send("x") }
        }
    }

    @Test("a client that waits too long says so")
    func timesOut() async throws {
        self.upstream.script(.any, .stallBeforeHead(Gate()))
        let error = await #expect(throws: TestSupportError.self) {
            _ = try await RawHTTPClient.get(port: self.upstream.port, path: "/v2/", timeout: .milliseconds(100))
        }
        #expect(error?.code == .timedOut)
    }

    @Test("a stopped upstream refuses connections, a restarted one serves the same content")
    func restarts() async throws {
        let (port, path) = (self.upstream.port, self.layerPath)
        let connection = try await RawConnection.connect(port)
        try await connection.request("GET", "/v2/")
        _ = try await connection.readHead()
        _ = try await connection.readToEnd()
        self.upstream.stop()
        self.upstream.stop()
        #expect(try await connection.readRaw(upTo: 1).isEmpty)
        let error = await #expect(throws: TestSupportError.self) {
            _ = try await RawHTTPClient.get(port: port, path: path)
        }
        #expect(error?.code == .connectFailed)
        try self.upstream.restart()
        #expect(try await RawHTTPClient.get(port: port, path: path).byteCount == 100_000)
    }

    @Test("an upstream that is forgotten stops by itself")
    func stopsWhenForgotten() async throws {
        var other: ScriptedUpstream? = try ScriptedUpstream()
        let port = try #require(other?.port)
        #expect(try await RawHTTPClient.get(port: port, path: "/v2/").status == 200)
        other = nil
        await #expect(throws: TestSupportError.self) { _ = try await RawHTTPClient.get(port: port, path: "/v2/") }
    }

    @Test("an endless body ends when the client has had enough")
    func endless() async throws {
        self.upstream.script(.any, .endless(preface: "HTTP/1.1 200 OK\r\n", repeating: "X-A: b\r\n"))
        let error = await #expect(throws: TestSupportError.self) {
            _ = try await RawHTTPClient.get(port: self.upstream.port, path: "/v2/")
        }
        #expect(error?.code == .malformed)
        try await self.upstream.waitForOpenConnections { $0 == 0 }
    }

    @Test("a slow reader with a small window holds the upstream back")
    func slowReader() async throws {
        let blob = Fixtures.pseudoRandomBytes(count: 32 << 20, seed: 3)
        let digest = self.upstream.addBlob(blob, in: "app")
        let connection = try await RawConnection.connect(self.upstream.port, receiveBuffer: 8192)
        try await connection.request("GET", self.image.blobPath(digest))
        _ = try await connection.readHead()
        #expect(try await connection.readBody(count: 10) == Array(blob.prefix(10)))
        #expect(self.upstream.bodyBytesSent(for: self.upstream.requests[0]) < 16 << 20)
        connection.close()
        try await self.upstream.waitForOpenConnections { $0 == 0 }
    }

    @Test("64 clients read 16 MiB each")
    func many() async throws {
        let blob = Fixtures.pseudoRandomBytes(count: 16 << 20, seed: 4)
        let (port, path) = (self.upstream.port, self.image.blobPath(self.upstream.addBlob(blob, in: "app")))
        let expected = sha256Hex(blob)
        try await withThrowingTaskGroup(of: RawResponse.self) { group in
            for _ in 0..<64 {
                group.addTask { try await RawHTTPClient.get(port: port, path: path, discardBody: true) }
            }
            for try await response in group { #expect(response.sha256 == expected && response.isComplete) }
        }
        #expect(self.upstream.acceptedConnectionCount == 64)
    }
}
