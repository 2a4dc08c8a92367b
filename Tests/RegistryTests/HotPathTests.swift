import OCI
import Registry
import Synchronization
import TestSupport
import Testing

/// Hits answered before the parser: the same answers, and only where the parser would give one.
@Suite struct HotPathTests {
    /// Counts the lines, and so the hits that were answered ahead.
    private final class Counter: HitLog {
        private let lines = Mutex<[String]>([])

        private struct Line: HitLine {
            let counter: Counter
            let message: String
            func write() { self.counter.lines.withLock { $0.append(self.message) } }
        }

        func line(_ message: String) -> (any HitLine)? { Line(counter: self, message: message) }
        var count: Int { self.lines.withLock { $0.count } }
        var last: String? { self.lines.withLock { $0.last } }
    }

    private static func head(_ method: String, _ path: String, _ headers: [(String, String)] = []) -> String {
        "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n"
    }

    @Test("the answer is the parser's, field for field and byte for byte; and it is at hand the second time")
    func same() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let log = Counter()
        var options = ServerHarness.Options()
        options.hitLog = log
        try await ServerHarness.run(upstream, options) { server async throws in
            try await server.warm(image)
            let digest = image.manifestDigest
            let type = try #require(try await server.get(image.manifestPath).header("content-type"))
            let cases: [(String, [(String, String)])] = [
                ("/v2/library/nginx/manifests/latest", []), ("/v2/nginx/manifests/latest", []),
                ("/v2/library/nginx/manifests/latest?ns=docker.io", [("Accept", "*/*")]),
                ("/v2/docker.io/library/nginx/manifests/\(digest)", [("Accept", "application/*")]),
                ("/v2/library/nginx/manifests/\(digest)", [("Accept", "text/html, \(type)"), ("User-Agent", "containerd/2.0")]),
                ("/v2/library/nginx/manifests/\(digest)", [("Accept", "text/html"), ("accept", type.uppercased())]),
                (
                    "/v2/library/nginx/blobs/\(image.config.digest)",
                    [("Authorization", "Bearer x"), ("Connection", "keep-alive")]
                ),
            ]
            for (path, headers) in cases {
                for method in ["GET", "HEAD"] {
                    let ahead = try await Self.answer(server, method, path, headers)
                    let before = log.count
                    let again = try await Self.answer(server, method, path, headers)
                    #expect(log.count == before + 1, "\(method) \(path)")
                    // Not plain, so the parser's.
                    let parsed = try await Self.answer(server, method, path, headers + [("TE", "trailers")])
                    #expect(log.count == before + 1)
                    #expect(ahead.head.status == 200)
                    for answer in [ahead, again] {
                        #expect(Self.fields(answer) == Self.fields(parsed))
                        #expect(answer.content.bytes == parsed.content.bytes)
                        #expect(answer.head.reason == parsed.head.reason)
                    }
                }
            }
            #expect(log.last == "[docker] Cache HIT: blob library/nginx@\(image.config.digest)")
        }
    }

    private static func answer(
        _ server: ServerHarness, _ method: String, _ path: String, _ headers: [(String, String)]
    ) async throws -> RawResponse {
        let connection = try await RawConnection.connect(server.port)
        defer { connection.close() }
        try await connection.send(Self.head(method, path, headers))
        let head = try await connection.readHead(method: method)
        return RawResponse(head: head, content: try await connection.readToEnd())
    }

    /// Without what changes with each second.
    private static func fields(_ response: RawResponse) -> [String] {
        response.head.headers.compactMap { name, value in
            switch name {
            case "date", "age": "\(name)"
            case "cache-control", "cache-status": "\(name): \(value.filter { !$0.isNumber })"
            default: "\(name): \(value)"
            }
        }
    }

    @Test(
        "what asks for something else than all of it is the parser's",
        arguments: [
            ("Accept", "text/html", 404), ("Accept", "text/html;q=1, */*;q=0.1", 200), ("Range", "bytes=0-0", 200),
            ("If-None-Match", "*", 304), ("Expect", "100-continue", 200), ("Connection", "close", 200),
            ("Content-Length", "0", 200), ("X-Odd", "caf\u{E9}", 200),
        ])
    func others(_ name: String, _ value: String, _ status: Int) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let log = Counter()
        var options = ServerHarness.Options()
        options.hitLog = log
        try await ServerHarness.run(upstream, options) { server async throws in
            try await server.warm(image)
            let before = log.count
            let response = try await server.get(image.manifestPath, headers: [(name, value)])
            #expect(response.status == status)
            #expect(log.count == before)
        }
    }

    @Test("requests in a row are answered in their order, whoever answers them")
    func pipelined() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let absent = upstream.addBlob(Array("comes later".utf8), in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            try await server.warm(image)
            let connection = try await RawConnection.connect(server.port)
            let blob = Self.head("GET", "/v2/library/nginx/blobs/\(image.config.digest)")
            let tag = Self.head("GET", image.manifestPath)
            let miss = Self.head("GET", "/v2/library/nginx/blobs/\(absent)")
            let part = Self.head("GET", "/v2/library/nginx/blobs/\(image.config.digest)", [("Range", "bytes=0-0")])
            try await connection.send(tag + blob + miss + tag + part + blob)
            for body in [
                image.manifest.bytes, image.config.bytes, Array("comes later".utf8), image.manifest.bytes,
                Array(image.config.bytes[..<1]), image.config.bytes,
            ] {
                _ = try await connection.readHead()
                #expect(try await connection.readToEnd().bytes == body)
            }
            connection.close()
        }
    }

    @Test("half a request is the parser's, and so is all that comes behind it: its other half is no request of its own")
    func halves() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let log = Counter()
        var options = ServerHarness.Options()
        options.hitLog = log
        try await ServerHarness.run(upstream, options) { server async throws in
            try await server.warm(image)
            let before = log.count
            let connection = try await RawConnection.connect(server.port)
            let whole = Self.head("GET", image.manifestPath)
            // The first is answered when it has arrived, and so has the half behind it.
            try await connection.send(Self.head("GET", "/v2/") + "GET /v2/ HTTP/1.1\r\nX: ")
            _ = try await connection.readHead()
            #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
            try await connection.send(whole)
            _ = try await connection.readHead()
            #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
            try await connection.send(whole)
            _ = try await connection.readHead()
            #expect(try await connection.readToEnd().bytes == image.manifest.bytes)
            #expect(log.count == before)
            connection.close()
        }
    }

    @Test("what is removed, or moves, is not served from memory")
    func gone() async throws {
        let upstream = try ScriptedUpstream()
        let old = upstream.addImage(repository: "library/nginx", tag: "latest")
        let new = upstream.addImage(repository: "library/nginx", tag: "new", seed: 2)
        try await ServerHarness.run(upstream) { server async throws in
            try await server.warm(old)
            try await server.warm(new)
            let paths = [old.blobPath(old.config.digest), "/v2/library/nginx/manifests/\(old.manifestDigest)"]
            for path in paths + [old.manifestPath] {
                for _ in 0..<2 { #expect(try await server.get(path).header("x-amargo-cache") == "HIT") }
            }
            server.store.setTag(
                try OCI.Tag(parsing: "latest"), in: try QualifiedRepository(parsing: "docker.io/library/nginx"),
                to: try Digest(parsing: new.manifestDigest))
            #expect(try await server.get(old.manifestPath).body == new.manifest.bytes)
            upstream.scriptForever(.any, .status(404))
            let digests = try [old.config.digest, old.manifestDigest].map { try Digest(parsing: $0) }
            try await server.store.run { try server.store.remove(digests) }
            for path in paths { #expect(try await server.get(path).status == 404) }
        }
    }
}
