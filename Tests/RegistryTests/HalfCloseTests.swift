import TestSupport
import Testing

@testable import Registry

/// A client may end its side when it has asked all it wants to: it is still owed the answers.
@Suite(.serialized) struct HalfCloseTests {
    private static let name = "/v2/library/nginx"
    private static let small = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"

    /// What a client may have asked before it ended its side, and the answers that it is owed.
    private static func asked(_ digest: String) -> [(request: String, statuses: [(method: String, status: Int)])] {
        let host = "HTTP/1.1\r\nHost: a\r\n"
        return [
            ("GET /v2/ \(host)\r\n", [("GET", 200)]), ("HEAD /v2/ \(host)\r\n", [("HEAD", 200)]),
            ("GET \(Self.name)/blobs/\(digest) \(host)\r\n", [("GET", 200)]),
            ("GET \(Self.name)/manifests/absent \(host)\r\n", [("GET", 404)]),
            ("GET \(Self.name)/manifests/absent HTTP/1.0\r\n\r\n", [("GET", 404)]), ("GET /nowhere \(host)\r\n", [("GET", 404)]),
            ("PUT /v2/ \(host)Content-Length: 5\r\n\r\nhello", [("PUT", 405)]),
            ("PUT /v2/ \(host)Content-Length: 5\r\n\r\n", [("PUT", 405)]),
            ("GET /v2/ \(host)Content-Length: 5\r\n\r\nhello", [("GET", 200)]),
            ("GET /v2/ \(host)Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", [("GET", 200)]),
            (
                "GET \(Self.name)/blobs/\(digest) \(host)\r\n\(Self.small)HEAD /v2/ \(host)\r\n",
                [("GET", 200), ("GET", 200), ("HEAD", 200)]
            ),
            // It has not asked to the end: that is no request.
            ("GET /v2/ HTT", [("GET", 400)]), ("GET /v2/ \(host)", [("GET", 400)]),
            ("GET /v2/ \(host)Content-Length: 5\r\n\r\nhel", [("GET", 400)]),
            ("GET /v2/ \(host)Transfer-Encoding: chunked\r\n\r\n5\r\nhel", [("GET", 400)]),
            (Self.small + "GET", [("GET", 200), ("GET", 400)]),
            ("", []),
        ]
    }

    @Test("a client that ends its side right behind its request gets the whole answer, and then the end")
    func halfClosed() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 300_000, seed: 305)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for (request, answers) in Self.asked(digest) {
                // At the same time, so that some of them come with both in one go.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<6 {
                        group.addTask {
                            let connection = try await RawConnection.connect(server.port)
                            defer { connection.close() }
                            try await connection.send(request)
                            try await connection.endSending()
                            for (method, status) in answers {
                                let head = try await connection.readHead(method: method)
                                #expect(head.status == status, "\(request)")
                                let body = try await connection.readToEnd()
                                #expect(body.isComplete, "\(request)")
                                if status == 200, body.count > 100 { #expect(body.bytes == bytes) }
                            }
                            #expect(try await connection.hasEnded(), "\(request)")
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test("a client that ends its side while the last bytes are on their way to it sees the end behind them")
    func halfClosedLate() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 8 << 20, seed: 306)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            // Somewhere among these the last slice has been handed over, and has not left yet.
            for rest in stride(from: 500_000, through: 6_500_000, by: 500_000) {
                let connection = try await RawConnection.connect(server.port, receiveBuffer: 16 << 10, timeout: .seconds(10))
                defer { connection.close() }
                try await connection.request("GET", "\(Self.name)/blobs/\(digest)")
                #expect(try await connection.readHead().status == 200)
                #expect(try await connection.readBody(count: bytes.count - rest) == bytes.dropLast(rest))
                try await connection.endSending()
                #expect(try await connection.readToEnd().bytes == bytes.suffix(rest))
                #expect(try await connection.hasEnded())
            }
        }
    }
}

extension RawConnection {
    /// Whether the server ends the connection, having sent nothing more.
    func hasEnded() async throws -> Bool {
        do {
            return try await self.readRaw(upTo: 1).isEmpty
        } catch let error as TestSupportError where error.code == .reset {
            return true
        }
    }
}
