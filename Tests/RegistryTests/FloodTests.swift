import Foundation
import TestSupport
import Testing

@testable import Registry

/// Requests that are too much, in one way or another: docs/RELIABILITY.md, B.
@Suite(.serialized) struct FloodTests {
    private static let start = "GET /v2/ HTTP/1.1\r\nHost: a\r\n"

    /// Sends `piece` again and again behind `start`, until the server has had enough.
    ///
    /// - Returns: the status of its answer, nil when it only cut the connection, and how many bytes it let us send.
    private static func flood(_ server: ServerHarness, _ start: String, _ piece: String) async throws -> (status: Int?, sent: Int)
    {
        let connection = try await RawConnection.connect(server.port)
        defer { connection.close() }
        var sent = 0
        let block = Array(String(repeating: piece, count: max(1, 65_536 / piece.utf8.count)).utf8)
        do {
            try await connection.send(start)
            while sent < 1 << 30 {
                try await connection.send(block)
                sent += block.count
            }
            Issue.record("a gigabyte of \(piece.debugDescription) was taken")
        } catch let error as TestSupportError where error.code == .reset {
            // As it should be; an answer that came before may be lost with it.
        }
        do {
            return (try await connection.readHead().status, sent)
        } catch is TestSupportError {
            return (nil, sent)
        }
    }

    /// What goes before, and what is sent again and again.
    private static let floods: [(start: String, piece: String)] = [
        ("GET /", "x"), ("GET /v2/?", "x=y&"), ("GET ", "/"), ("", "x"), ("GET /v2/ HTTP/1.1\r\nHost: a\r\n", "x"),
        ("\(start)x: ", "y"),
        (start, "x: y\r\n"), (start, "\(String(repeating: "z", count: 8_000)): \r\n"), ("GET /v2/ HTTP/1.1\r\nHost: ", "a"),
        ("\(start)Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("\(start)Transfer-Encoding: chunked\r\n\r\n0\r\n", "x: y\r\n"),
        ("\(start)Transfer-Encoding: chunked\r\n\r\n0\r\nx: ", "y"), ("\(start)Transfer-Encoding: chunked\r\n\r\n", "f"),
        ("\(start)Content-Length: 100000000000\r\n\r\n", "x"),
        ("PUT /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\n", "x"),
    ]

    @Test("B: header flood, endless target: without an end there is a 4xx and the end, or just the end")
    func endless() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for (start, piece) in Self.floods {
                let (status, _) = try await Self.flood(server, start, piece)
                #expect(status == nil || [400, 405, 414, 431].contains(status), "\(start) \(piece)")
                #expect(try await server.get("/v2/").status == 200)
                #expect(upstream.requests.isEmpty)
            }
        }
    }

    @Test(
        "B: slow requests: what has no end and no size that anybody counts ends with its time", arguments: ["\r\n", "1;x=", "x"])
    func untilTime(_ piece: String) async throws {
        var options = ServerHarness.Options()
        options.limits.request = .milliseconds(300)
        try await ServerHarness.run(try ScriptedUpstream(), options) { server async throws in
            // Empty lines before a request, an extension that goes on and on, a body of which a byte comes now and then.
            let start =
                switch piece {
                case "\r\n": ""
                case "x": Self.start + "Content-Length: 60000\r\n\r\n"
                default: Self.start + "Transfer-Encoding: chunked\r\n\r\n"
                }
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            try await connection.send(start)
            try await eventually("it is closed although it sends") {
                do {
                    try await connection.send(piece)
                    return false
                } catch {
                    return true
                }
            }
            #expect(try await server.get("/v2/").status == 200)
        }
    }

    @Test("B: header flood: 300 fields of 8 KiB are a 431 or the end")
    func headers() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            defer { connection.close() }
            do {
                try await connection.send(
                    Self.start + String(repeating: "x: \(String(repeating: "y", count: 8_191))\r\n", count: 300) + "\r\n")
                #expect(try await connection.readHead().status == 431)
            } catch let error as TestSupportError {
                #expect(error.code == .reset || error.code == .closed)
            }
        }
    }

    private static let pageSizes: [(count: String, expected: Int)] = [
        ("0", 0), ("1", 1), ("0002", 2), ("2147483648", 3), ("9223372036854775808", 3), ("18446744073709551616", 3), ("", 3),
    ]

    @Test(
        "B: catalog n: 0 is an empty page without Link, anything larger than a page is a page")
    func pages() async throws {
        let upstream = try ScriptedUpstream()
        for tag in ["a", "b", "c"] { upstream.addImage(repository: "library/\(tag)", tag: "x") }
        for tag in ["p", "q", "r"] { upstream.addImage(repository: "library/nginx", tag: tag) }
        try await ServerHarness.run(upstream) { server async throws in
            for name in ["a", "b", "c"] { _ = try await server.get("/v2/library/\(name)/manifests/x") }
            try await eventually("all are listed") {
                let text = try await server.get("/v2/_catalog").text
                return ["library/a", "library/b", "library/c"].allSatisfy { text.contains($0) }
            }
            for (count, expected) in Self.pageSizes {
                for (path, key) in [("/v2/_catalog", "repositories"), ("/v2/library/nginx/tags/list", "tags")] {
                    let response = try await server.get("\(path)?n=\(count)")
                    #expect(response.status == 200, "\(path) \(count)")
                    let document = try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any]
                    #expect((document?[key] as? [String])?.count == expected, "\(path) \(count)")
                    #expect((response.header("link") == nil) == (expected == 0 || expected == 3), "\(path) \(count)")
                }
            }
        }
    }
}
