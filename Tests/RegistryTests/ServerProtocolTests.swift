import Foundation
import TestSupport
import Testing

/// The answers beside content: errors, ranges, conditions, connections.
@Suite struct ServerProtocolTests {
    @Test("/v2/ says that this is a registry and asks nobody", arguments: ["/v2/", "/v2"])
    func base(_ path: String) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get(path)
            #expect(response.status == 200)
            #expect(response.text == "{}")
            #expect(response.header("docker-distribution-api-version") == "registry/2.0")
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test(
        "what cannot be served is an OCI error document with its own code, and upstream is not asked",
        arguments: [
            ("GET", "/v1/", 404, "NAME_UNKNOWN"),
            ("GET", "/v2/library/nginx/manifests/..", 400, "TAG_INVALID"),
            ("GET", "/v2/Library/nginx/manifests/latest", 400, "NAME_INVALID"),
            ("GET", "/v2/library/nginx/blobs/sha256:abc", 400, "DIGEST_INVALID"),
            ("GET", "/v2/library/nginx/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", 400, "DIGEST_INVALID"),
            ("GET", "/v2/library%2fnginx/manifests/latest", 400, "NAME_INVALID"),
            ("GET", "/v2//nginx/manifests/latest", 400, "NAME_INVALID"),
            ("GET", "/v2/ghcr.io/org/app/manifests/latest", 404, "NAME_UNKNOWN"),
            ("GET", "/v2/org/app/manifests/latest?ns=ghcr.io", 404, "NAME_UNKNOWN"),
            ("GET", "/v2/org/app/manifests/latest?ns=169.254.169.254", 404, "NAME_UNKNOWN"),
            ("PUT", "/v2/library/nginx/manifests/latest", 405, "UNSUPPORTED"),
            ("POST", "/v2/library/nginx/blobs/uploads/", 405, "UNSUPPORTED"),
            ("DELETE", "/v2/library/nginx/manifests/latest", 405, "UNSUPPORTED"),
        ])
    func errors(_ method: String, _ path: String, _ status: Int, _ code: String) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get(path, method: method)
            #expect(response.status == status)
            #expect(response.header("content-type") == "application/json")
            let document = try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any]
            let errors = document?["errors"] as? [[String: Any]]
            #expect(errors?.first?["code"] as? String == code)
            #expect((errors?.first?["message"] as? String)?.isEmpty == false)
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test("what upstream does not have is a 404 with the code of its kind")
    func notFound() async throws {
        let upstream = try ScriptedUpstream()
        _ = upstream.addImage(repository: "library/nginx", tag: "latest")
        let absent = "sha256:" + String(repeating: "0", count: 64)
        try await ServerHarness.run(upstream) { server async throws in
            let tag = try await server.get("/v2/library/nginx/manifests/missing")
            #expect(tag.status == 404)
            #expect(tag.text.contains("MANIFEST_UNKNOWN"))
            let blob = try await server.blob(absent)
            #expect(blob.status == 404)
            #expect(blob.text.contains("BLOB_UNKNOWN"))
        }
    }

    @Test(
        "C4: Range of a stored blob",
        arguments: [
            ("bytes=0-99", 206, "bytes 0-99/1000", 0, 100),
            ("bytes=900-", 206, "bytes 900-999/1000", 900, 1000),
            ("bytes=-100", 206, "bytes 900-999/1000", 900, 1000),
            ("bytes=500-5000", 206, "bytes 500-999/1000", 500, 1000),
            ("bytes=0-0,5-9", 200, "", 0, 1000),
            ("bytes=9-5", 200, "", 0, 1000),
            ("items=0-5", 200, "", 0, 1000),
            ("bytes=1000-", 416, "bytes */1000", 0, 0),
            ("bytes=99999999999999999999-", 416, "bytes */1000", 0, 0),
        ])
    func ranges(_ range: String, _ status: Int, _ contentRange: String, _ first: Int, _ end: Int) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1000, seed: 31)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            let response = try await server.blob(digest, headers: [("Range", range)])
            #expect(response.status == status)
            #expect(response.header("content-range") ?? "" == contentRange)
            #expect(response.body == Array(bytes[first..<end]))
            #expect(response.isComplete)
        }
    }

    @Test("C4: If-None-Match is answered by 304, If-Range of other content by the whole")
    func conditions() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let layer = image.layers[0]
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(layer.digest)
            try await server.waitUntilStored(layer.digest)
            #expect(try await server.blob(layer.digest, headers: [("If-None-Match", "\"\(layer.digest)\"")]).status == 304)
            let whole = try await server.blob(
                layer.digest, headers: [("Range", "bytes=1-"), ("If-Range", "\"sha256:other\"")])
            #expect(whole.status == 200)
            #expect(whole.body == layer.bytes)
            _ = try await server.get("/v2/library/nginx/manifests/latest")
            let tag = try await server.get(
                "/v2/library/nginx/manifests/latest", headers: [("If-None-Match", "\"\(image.manifestDigest)\"")])
            #expect(tag.status == 304)
            #expect(tag.header("etag") == "\"\(image.manifestDigest)\"")
        }
    }

    @Test("C3: HEAD of an absent blob asks upstream by HEAD and downloads nothing")
    func headOfAbsent() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 5000, seed: 32), in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get("/v2/library/nginx/blobs/\(digest)", method: "HEAD")
            #expect(response.status == 200)
            #expect(response.header("content-length") == "5000")
            #expect(response.header("docker-content-digest") == digest)
            #expect(upstream.requests.map(\.method) == ["HEAD"])
            #expect(try !server.isStored(digest))
        }
    }

    @Test("a registry that knows no HEAD of blobs is asked for the first byte", arguments: [401, 405, 501])
    func headRefused(_ status: Int) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 5000, seed: 35), in: "library/nginx")
        upstream.scriptForever(.init(method: "HEAD"), .status(status))
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get("/v2/library/nginx/blobs/\(digest)", method: "HEAD")
            #expect(response.status == 200)
            #expect(response.header("content-length") == "5000")
            #expect(upstream.requests("GET").map { $0.header("range") } == ["bytes=0-0"])
            #expect(try !server.isStored(digest))
        }
    }

    @Test("C8: a push is refused before its body is read", arguments: ["POST", "PUT", "PATCH"])
    func push(_ method: String) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            // Half of a large body is on its way, the rest never comes.
            try await connection.send(
                "\(method) /v2/library/nginx/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
                    + String(repeating: "x", count: 50_000))
            let head = try await connection.readHead(method: method)
            #expect(head.status == 405)
            #expect(head.header("allow") == "GET, HEAD")
            #expect(head.header("connection") == "close")
            connection.close()
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test("C10: several requests in one segment are answered in order")
    func pipelining() async throws {
        let upstream = try ScriptedUpstream()
        let first = Fixtures.pseudoRandomBytes(count: 300_000, seed: 33)
        let digest = upstream.addBlob(first, in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            let host = "Host: localhost\r\n\r\n"
            try await connection.send(
                "GET /v2/library/nginx/blobs/\(digest) HTTP/1.1\r\n\(host)GET /v2/ HTTP/1.1\r\n\(host)HEAD /v2/ HTTP/1.1\r\n\(host)"
            )
            #expect(try await connection.readHead().status == 200)
            #expect(try await connection.readToEnd().bytes == first)
            #expect(try await connection.readHead().status == 200)
            #expect(try await connection.readToEnd().bytes == Array("{}".utf8))
            #expect(try await connection.readHead(method: "HEAD").status == 200)
            connection.close()
        }
    }

    @Test("/health tells version, store and upstreams as JSON")
    func health() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Array("content".utf8), in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            let response = try await server.get("/health")
            let document = try #require(try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any])
            #expect(document["status"] as? String == "ok")
            #expect(document["version"] as? String == "test")
            let store = try #require(document["store"] as? [String: Any])
            #expect(store["blobs"] as? Int == 1)
            #expect(store["bytes"] as? Int == 7)
            let upstreams = try #require(document["upstreams"] as? [[String: Any]])
            #expect(upstreams.first?["name"] as? String == "docker")
            #expect(upstreams.first?["state"] as? String == "ok")
        }
    }

    @Test("asked to stop, it lets slow readers of stored content have their last byte, and waits for nobody who is idle")
    func gracefulStopOfHits() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 8 << 20, seed: 36)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream, .init(drainTimeout: .seconds(60))) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
            var slow: [RawConnection] = []
            for _ in 0..<16 {
                let client = try await RawConnection.connect(server.port, receiveBuffer: 32 << 10)
                try await client.request("GET", "/v2/library/nginx/blobs/\(digest)")
                _ = try await client.readHead()
                slow.append(client)
            }
            await server.beginStopping()
            let start = ContinuousClock.now
            for client in slow {
                let rest = try await client.readToEnd()
                #expect(rest.isComplete)
                #expect(rest.bytes == bytes)
                // Kept alive by its client, closed by the server all the same.
                #expect(try await client.readRaw(upTo: 1).isEmpty)
            }
            #expect(start.duration(to: .now) < .seconds(50))
        }
    }

    @Test("asked to stop, it finishes the response that runs and takes no new one")
    func gracefulStop() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 4 << 20, seed: 34)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 2 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let connection = try await RawConnection.connect(server.port)
            try await connection.request("GET", "/v2/library/nginx/blobs/\(digest)")
            _ = try await connection.readHead()
            let early = try await connection.readBody(count: 1 << 20)
            await server.beginStopping()
            try await eventually("new connections are refused") {
                do {
                    let probe = try await RawConnection.connect(server.port)
                    probe.close()
                    return false
                } catch {
                    return true
                }
            }
            gate.open()
            let rest = try await connection.readToEnd()
            #expect(rest.isComplete)
            #expect(early + rest.bytes == bytes)
            connection.close()
        }
    }
}
