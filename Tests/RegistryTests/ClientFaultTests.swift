import TestSupport
import Testing

@testable import Registry

/// docs/RELIABILITY.md, the table of what clients do; each test carries its row. The other rows stand with what they are about, under
/// the same names.
@Suite(.serialized) struct ClientFaultTests {
    private static let name = "/v2/library/nginx"
    private static let small = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"

    // MARK: - C4

    private static let conditionCases: [(headers: [(String, String)], status: Int)] = [
        ([("Range", "bytes=1-2"), ("Range", "bytes=3-4")], 200), ([("Range", "bytes=1-2"), ("If-Range", "DIGEST")], 206),
        ([("Range", "bytes=1-2"), ("If-Range", "W/DIGEST")], 200), ([("Range", "bytes=1-2"), ("If-Range", "*")], 200),
        ([("Range", "bytes=1-2"), ("If-Range", "Sat, 29 Oct 1994 19:43:31 GMT")], 200),
        ([("Range", "bytes=1-2"), ("If-None-Match", "DIGEST")], 304), ([("If-None-Match", "W/DIGEST")], 304),
        ([("If-None-Match", "\"a\", DIGEST")], 304), ([("If-None-Match", "*")], 304), ([("If-None-Match", "\"a\"")], 200),
        ([("Range", "bytes=2000-"), ("If-Range", "\"a\"")], 200),
        ([("Range", "bytes=2000-"), ("If-None-Match", "DIGEST")], 304),
    ]

    /// RFC 9110, 13.1.5, 14.2 and 5.3.
    @Test(
        "C4: Range, If-Range, If-None-Match: what is not exactly a range of this content gets all of it")
    func conditions() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1000, seed: 301)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            for (headers, status) in Self.conditionCases {
                let fields = headers.map { ($0.0, $0.1.replacing("DIGEST", with: "\"\(digest)\"")) }
                let response = try await server.blob(digest, headers: fields)
                #expect(response.status == status, "\(headers)")
                let body = status == 200 ? bytes : status == 206 ? Array(bytes[1...2]) : []
                #expect(response.body == body, "\(headers)")
            }
        }
    }

    /// RFC 9110, 14.2: ranges are defined for GET alone.
    @Test("C4: Range with HEAD means nothing")
    func rangeOfHead() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 1000, seed: 302), in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let head = try await server.get("\(Self.name)/blobs/\(digest)", headers: [("Range", "bytes=1-2")], method: "HEAD")
                #expect(head.status == 200)
                #expect(head.header("content-length") == "1000")
                #expect(head.header("content-range") == nil)
                _ = try await server.blob(digest)
                try await server.waitUntilStored(digest)
            }
        }
    }

    @Test("A: range overflow: no range reaches outside the content, running or stored", arguments: [false, true])
    func rangeOverflow(_ isStored: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 307)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 1 << 19, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let follower = try await RawConnection.connect(server.port)
            defer { follower.close() }
            try await follower.request("GET", "\(Self.name)/blobs/\(digest)")
            #expect(try await follower.readHead().status == 200)
            if isStored {
                gate.open()
                try await server.waitUntilStored(digest)
            }
            for range in [
                "-0", "1048576-", "1048576-1048577", "2147483648-", "4294967296-", "9223372036854775807-", "9223372036854775808-",
                "18446744073709551616-", "18446744073709551616-18446744073709551617", "-00000000000000000000000000000000",
            ] {
                let response = try await server.blob(digest, headers: [("Range", "bytes=\(range)")])
                #expect(response.status == 416, "\(range)")
                #expect(response.header("content-range") == "bytes */1048576", "\(range)")
                #expect(response.body.isEmpty)
            }
            let part = try await server.blob(digest, headers: [("Range", "bytes=100-199")])
            #expect(part.body == Array(bytes[100..<200]))
            gate.open()
            for range in [
                "5-4", "-", "", "+1-2", "1-2, 3-4", "0x0-5", "1-2 3-4", "1 - 2",
                (0..<1_000).map { "\($0)-\($0)" }.joined(separator: ","),
                "-9223372036854775808,-1", "0-18446744073709551616,0-1",
            ] {
                let response = try await server.blob(digest, headers: [("Range", "bytes=\(range)")])
                #expect(response.status == 200 && response.body == bytes, "\(range.prefix(40))")
            }
            for (range, first) in [
                ("-9223372036854775808", 0), ("1-18446744073709551616", 1), ("1048575-9223372036854775807", 1_048_575),
            ] {
                let response = try await server.blob(digest, headers: [("Range", "bytes=\(range)")])
                #expect(response.status == 206 && response.body == Array(bytes[first...]), "\(range)")
            }
        }
    }

    // MARK: - C5

    private static let forms: [(request: String, status: Int)] = [
        ("GET /v2/ HTTP/1.0\r\n\r\n", 200), ("GET http://localhost/v2/ HTTP/1.0\r\n\r\n", 200),
        ("GET http://localhost/v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 200), ("GET /v2/ HTTP/1.1\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400), ("GET /v2/ HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    ]

    @Test(
        "C5: HTTP/1.0, no Host, absolute URI, *: the right answer, 400 or 505")
    func oldForms() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            for (request, status) in Self.forms {
                let connection = try await RawConnection.connect(server.port)
                defer { connection.close() }
                try await connection.send(request)
                let head = try await connection.readHead()
                #expect(head.status == status, "\(request)")
                #expect(try await connection.readToEnd().isComplete)
                if status != 200 || request.contains("HTTP/1.0") {
                    #expect(head.header("connection") == "close")
                    #expect(try await connection.hasEnded())
                }
            }
        }
    }

    @Test("C5: a blob by HTTP/1.0 has a length, from upstream and from the store, and ends the connection")
    func oldBlob() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 300_000, seed: 303)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let connection = try await RawConnection.connect(server.port)
                try await connection.send("GET \(Self.name)/blobs/\(digest) HTTP/1.0\r\n\r\n")
                let head = try await connection.readHead()
                #expect(head.header("content-length") == "300000")
                #expect(head.header("transfer-encoding") == nil)
                #expect(try await connection.readToEnd().bytes == bytes)
                #expect(try await connection.hasEnded())
                connection.close()
                try await server.waitUntilStored(digest)
            }
        }
    }

    // MARK: - C6

    @Test("C6: a body with GET, by length or in chunks, is no part of the next request", arguments: [false, true])
    func smallBody(_ isChunked: Bool) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            let inner = "GET \(Self.name)/manifests/canary HTTP/1.1\r\nHost: a\r\n\r\n"
            let body = inner + String(repeating: "x", count: 65_536 - inner.utf8.count)
            let framing =
                isChunked
                ? "Transfer-Encoding: chunked\r\n\r\n10000\r\n\(body)\r\n0\r\n\r\n" : "Content-Length: 65536\r\n\r\n\(body)"
            try await connection.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\(framing)HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await connection.readHead().status == 200)
            #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
            #expect(try await connection.readHead(method: "HEAD").header("content-type") == "application/json")
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test(
        "C6: a body with GET that never ends is cut after 64 KiB",
        arguments: ["Content-Length: 9000000000000000000", "Transfer-Encoding: chunked"])
    func endlessBody(_ framing: String) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
            let error = await #expect(throws: TestSupportError.self) {
                // More than both kernels hold.
                for _ in 0..<1_000 { try await connection.send("8000\r\n\(String(repeating: "x", count: 0x8000))\r\n") }
            }
            #expect(error?.code == .reset)
        }
    }

    /// RFC 9110, 10.1.1: there is no such thing in HTTP/1.0.
    @Test("C6: Expect: 100-continue in HTTP/1.0 means nothing")
    func oldExpectation() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.send(
                "GET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello\(Self.small)"
            )
            for _ in 0..<2 {
                let head = try await connection.readHead()
                #expect(head.status == 200)
                #expect(head.informational.isEmpty)
                #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
            }
        }
    }

    @Test("C6: Expect: 100-continue with a body that comes all the same: one answer, and nothing of the body is a request")
    func expectedBody() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            let body = "GET \(Self.name)/manifests/canary HTTP/1.1\r\nHost: a\r\n\r\n"
            try await connection.request(
                "GET", "/v2/", headers: [("Expect", "100-continue"), ("Content-Length", "\(body.utf8.count)")])
            try await connection.send(body)
            #expect(try await connection.readHead().status == 200)
            #expect(try await connection.readToEnd().isComplete)
            #expect(try await connection.hasEnded())
            #expect(upstream.requests.isEmpty)
        }
    }

    // MARK: - C7

    @Test("C7: half-open connection: whatever it was doing, its limits are over within 120 s")
    func halfOpen() {
        let limits = ServerLimits()
        // Each is looked at once an interval, and a window begins with a look.
        #expect(limits.request + limits.checkInterval <= .seconds(120))
        #expect(limits.idle + limits.checkInterval <= .seconds(120))
        #expect(limits.takingWindow + limits.checkInterval * 2 <= .seconds(120))
    }

    // MARK: - C9

    private static let unknownNames: [String] = [
        "org/app/manifests/x?ns=ghcr.io", "org/app/manifests/x?ns=localhost", "org/app/manifests/x?ns=docker.io:443",
        "org/app/manifests/x?ns=docker.io.", "org/app/manifests/x?ns=%5B::1%5D:80", "org/app/manifests/x?ns=0x7f000001",
        "org/app/manifests/x?ns=2130706433", "org/app/manifests/x?ns=docker.io@evil.example", "org/app/manifests/x?ns=docker",
        "ghcr.io/org/app/manifests/x", "localhost/app/manifests/x", "localhost:5000/app/manifests/x", "a:1/app/manifests/x",
        "127.0.0.1/app/manifests/x", "docker.io:443/app/manifests/x", "evil.example/docker.io/app/manifests/x",
    ]

    @Test(
        "C9: an unknown ns= or host-like first path element is 404 NAME_UNKNOWN, and no upstream is asked")
    func unknownNamespace() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for target in Self.unknownNames {
                for method in ["GET", "HEAD"] {
                    let response = try await server.get("/v2/\(target)", method: method)
                    #expect(response.status == 404, "\(target)")
                    if method == "GET" { #expect(response.text.contains("\"NAME_UNKNOWN\"")) }
                }
                #expect(upstream.acceptedConnectionCount == 0)
            }
        }
    }

    // MARK: - C10

    @Test("C10: several requests in one segment cannot starve others, also while nobody takes their answers")
    func starvation() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 304)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            var greedy: [RawConnection] = []
            // Both event loops have some.
            for _ in 0..<4 {
                let connection = try await RawConnection.connect(server.port, receiveBuffer: 16 << 10)
                let request = "GET \(Self.name)/blobs/\(digest) HTTP/1.1\r\nHost: a\r\n\r\n"
                try await connection.send(String(repeating: request, count: 50))
                greedy.append(connection)
            }
            for _ in 0..<8 {
                #expect(try await server.get("/v2/").status == 200)
                #expect(try await server.blob(digest).body == bytes)
            }
            for connection in greedy {
                for _ in 0..<2 {
                    #expect(try await connection.readHead().status == 200)
                    #expect(try await connection.readToEnd().bytes == bytes)
                }
                connection.close()
            }
        }
    }
}
