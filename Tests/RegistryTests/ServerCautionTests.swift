import OCI
import TestSupport
import Testing

/// What is remembered of an upstream that does something wrong, so that it is not asked in vain again and again.
@Suite struct ServerCautionTests {
    private static let tag = "/v2/library/nginx/manifests/latest"

    // MARK: - U15

    @Test("U15: a denial with a fresh token is remembered, for that repository alone, and no longer than it may be")
    func denial() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx")
        let other = upstream.addImage(repository: "library/redis", seed: 2)
        let challenge = "Bearer realm=\"\(upstream.url)/token\",service=\"scripted\""
        upstream.scriptForever(.init(contains: "/library/nginx/"), .status(401, headers: [("WWW-Authenticate", challenge)]))
        var options = ServerHarness.Options()
        #expect(options.caution.denial == .seconds(30))
        // On a busy machine thirty seconds are not much.
        options.caution.denial = .seconds(600)
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try await server.get(Self.tag).status == 403)
            let tokens = upstream.requests("GET", path: "/token").count
            #expect(tokens <= 2, "one token, and at most one more in its place")
            let before = upstream.requests.count
            for path in [Self.tag, "/v2/library/nginx/tags/list"] + image.blobs.map({ image.blobPath($0.digest) }) {
                for method in ["GET", "HEAD"] {
                    let response = try await server.get(path, method: method)
                    #expect(response.status == 403)
                    if method == "GET" { #expect(response.text.contains("DENIED")) }
                }
            }
            #expect(upstream.requests.count == before, "it is remembered")
            #expect(try await server.get(other.manifestPath).body == other.manifest.bytes)
        }
    }

    @Test("U15: what was denied is asked for again when the time is over")
    func denialEnds() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        upstream.script(.manifest("latest"), .status(403))
        var options = ServerHarness.Options()
        options.caution.denial = .milliseconds(1)
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try await server.get(Self.tag).status == 403)
            try await eventually("the denial is over") {
                try await server.get(Self.tag).body == image.manifest.bytes
            }
        }
    }

    // MARK: - U6, U9

    @Test("U6: a blob whose length is not its descriptor's is a 502 from memory for a while")
    func wrongSize() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", layerSizes: [1024, 200_000])
        let layer = image.layers[1]
        upstream.scriptForever(.blob(layer.digest), .editBody { $0.removeLast() })
        var options = ServerHarness.Options()
        options.caution.wrongSize = .seconds(600)
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.get(Self.tag)
            try await server.waitUntilStored(image.manifestDigest)
            for _ in 0..<3 {
                let response = try await server.blob(layer.digest)
                #expect(response.status == 502)
                #expect(response.text.contains("UNAVAILABLE"))
            }
            #expect(upstream.requests("GET", contains: layer.digest).count == 1)
            #expect(try await server.blob(image.layers[0].digest).body == image.layers[0].bytes)
        }
    }

    @Test("U9: wrong content is fetched three times, then somebody is told and nobody asks", arguments: [1000, 1 << 20])
    func wrongContent(_ size: Int) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: size, seed: 71), in: "library/nginx")
        upstream.scriptForever(.blob(digest), .corrupt(at: 3))
        let log = LogRecorder()
        var options = ServerHarness.Options()
        options.log = log
        options.caution.wrongContentWindow = .seconds(600)
        try await ServerHarness.run(upstream, options) { server async throws in
            for _ in 0..<5 {
                let response = try await server.blob(digest)
                #expect(response.status == 502 || !response.isComplete)
                try await server.expectQuiet()
            }
            #expect(upstream.requests("GET", contains: digest).count == 3)
            #expect(log.lines.filter { $0.level == .error && $0.text.contains(digest) }.count == 1)
            #expect(try await server.blob(digest).status == 502)
        }
    }

    @Test("U9: so is a manifest by digest whose bytes are others")
    func wrongManifest() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        upstream.scriptForever(.manifest(image.manifestDigest), .corrupt(at: 3))
        var options = ServerHarness.Options()
        options.caution.wrongContentWindow = .seconds(600)
        try await ServerHarness.run(upstream, options) { server async throws in
            for _ in 0..<5 {
                #expect(try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)").status == 502)
            }
            #expect(upstream.requests("GET", contains: image.manifestDigest).count == 3)
        }
    }

    @Test("U5: of what comes behind a body nothing is taken for anything, and its connection is not used again")
    func beyond() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let extra = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
        let layer = image.layers[0]
        upstream.script(
            .blob(layer.digest),
            .raw(
                Array("HTTP/1.1 200 OK\r\nContent-Length: \(layer.bytes.count)\r\n\r\n".utf8) + layer.bytes + Array(extra.utf8),
                thenClose: false))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(layer.digest).body == layer.bytes)
            #expect(try await server.blob(image.layers[1].digest).body == image.layers[1].bytes)
            let connections = upstream.requests.map(\.connection)
            #expect(connections.count == 2 && connections[0] != connections[1])
        }
    }

    // MARK: - U21, U26, U28, U29, U37

    @Test("U21: the size of a blob is had by its first byte where HEAD is refused", arguments: [401, 405, 501])
    func head(_ status: Int) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 12_345, seed: 72), in: "library/nginx")
        upstream.scriptForever(.init(method: "HEAD"), .status(status))
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get("/v2/library/nginx/blobs/\(digest)", method: "HEAD")
            #expect(response.status == 200)
            #expect(response.header("content-length") == "12345")
            #expect(upstream.requests("GET", contains: digest).map { $0.header("range") } == ["bytes=0-0"])
        }
    }

    @Test("U26: a document that readers could take for two is passed on by digest, and not kept")
    func doubtful() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Array(#"{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}"#.utf8)
        let digest = upstream.addManifest(bytes, mediaType: "application/vnd.oci.image.manifest.v1+json", in: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.get("/v2/library/nginx/manifests/\(digest)")
                #expect(response.status == 200)
                #expect(response.body == bytes)
            }
            #expect(try !server.isStored(digest))
            #expect(upstream.requests("GET", contains: digest).count == 2)
        }
    }

    @Test("U28: a Docker-Content-Digest that lies is ours in the answer and noted in the log; a missing one is no lie")
    func lie() async throws {
        let lie = "sha256:\(String(repeating: "b", count: 64))"
        for (behaviour, isLie) in [
            (Behaviour.replaceHeader("Docker-Content-Digest", lie), true), (.withoutHeader("Docker-Content-Digest"), false),
        ] {
            let upstream = try ScriptedUpstream()
            let image = upstream.addImage(repository: "library/nginx")
            upstream.scriptForever(.manifest(), behaviour)
            let log = LogRecorder()
            var options = ServerHarness.Options()
            options.log = log
            try await ServerHarness.run(upstream, options) { server async throws in
                let response = try await server.get(Self.tag)
                #expect(response.body == image.manifest.bytes)
                #expect(response.header("docker-content-digest") == image.manifestDigest)
                let isNoted = log.lines.contains {
                    $0.level == .warning && $0.text.contains(lie) && $0.text.contains(image.manifestDigest)
                }
                #expect(isNoted == isLie)
            }
        }
    }

    @Test("U29: a tag that moves between HEAD and GET is what GET says")
    func moves() async throws {
        let upstream = try ScriptedUpstream()
        let old = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            try await server.warm(old)
            let new = upstream.addImage(repository: "library/nginx", seed: 2)
            // HEAD speaks of a third that nobody will ever see.
            upstream.scriptForever(
                .head("latest"), .replaceHeader("Docker-Content-Digest", "sha256:\(String(repeating: "c", count: 64))"))
            let response = try await server.get(Self.tag)
            #expect(response.body == new.manifest.bytes)
            #expect(response.header("docker-content-digest") == new.manifestDigest)
            try await server.waitUntilStored(new.manifestDigest)
            upstream.stop()
            #expect(try await server.get("/v2/library/nginx/manifests/\(old.manifestDigest)").status == 200)
        }
    }

    @Test("U37: a tag that moves to an index with fewer platforms is served as it is; the old index stays by digest")
    func fewerPlatforms() async throws {
        let upstream = try ScriptedUpstream()
        let one = upstream.addImage(repository: "library/nginx", tag: nil, seed: 1)
        let two = upstream.addImage(repository: "library/nginx", tag: nil, seed: 2, platform: "linux/arm64")
        let old = upstream.addIndex(repository: "library/nginx", images: [(one, "linux/amd64"), (two, "linux/arm64")])
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            #expect(try await server.get(Self.tag).body == old.bytes)
            try await server.waitUntilStored(old.digest)
            try await server.waitUntilTagged("latest")
            let new = upstream.addIndex(repository: "library/nginx", images: [(two, "linux/arm64")])
            #expect(try await server.get(Self.tag).body == new.bytes)
            #expect(try await server.get("/v2/library/nginx/manifests/\(old.digest)").body == old.bytes)
        }
    }

    // MARK: - P9

    @Test("P9: 256 clients on one absent blob of 32 MiB, reset at 50 %: two GETs, the second ranged, 256 right bodies")
    func crowd() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 32 << 20, seed: 73)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), Behaviour.holdAfter(bytes: 1 << 20, gate).and(.resetAfter(bytes: 16 << 20)))
        try await ServerHarness.run(upstream) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for number in 0..<256 {
                    clients.addTask {
                        try await RawHTTPClient.get(
                            port: server.port, path: "/v2/library/nginx/blobs/\(digest)", discardBody: true,
                            timeout: .seconds(240))
                    }
                    // The others come while the download stands still.
                    if number == 0 { try await gate.waitUntilReached() }
                }
                gate.open()
                for try await response in clients {
                    #expect(response.status == 200)
                    #expect(response.isComplete)
                    #expect(response.byteCount == 32 << 20)
                    #expect(response.sha256.map { "sha256:\($0)" } == digest)
                }
            }
            let requests = upstream.requests("GET", contains: digest)
            #expect(requests.map { $0.header("range") != nil } == [false, true])
            try await server.waitUntilStored(digest)
        }
    }

    // MARK: - Few pulls left

    @Test("with few pulls left a tag is believed for longer, and /health says so", arguments: [(50, 1, 2), (4, 8, 1)])
    func stretched(_ remaining: Int, _ factor: Int, _ heads: Int) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        upstream.scriptForever(
            .any,
            Behaviour.header("ratelimit-limit", "100;w=21600").and(.header("ratelimit-remaining", "\(remaining);w=21600")))
        let folder = try TemporaryDirectory()
        // A lifetime of 100 s ± 10 %, or eight times that.
        let options = ServerHarness.Options(cacheTtl: .seconds(100), storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { try await $0.warm(image) }
        let before = upstream.requests.count
        try await ServerHarness.run(upstream, options) { server async throws in
            // What was said is said of this process's registry: any answer will do.
            _ = try await server.get("/v2/library/nginx/tags/list")
            server.wallClock.advance(by: 200)
            #expect(try await server.get(Self.tag).body == image.manifest.bytes)
            #expect(upstream.requests.count - before == heads)
            let health = try await server.get("/health").text
            #expect(health.contains("\"rateLimitRemaining\":\(remaining)"))
            #expect(health.contains("\"rateLimit\":100"))
            #expect(health.contains("\"rateLimitWindowSeconds\":21600"))
            #expect(health.contains("\"tagLifetimeFactor\":\(factor)"))
        }
    }
}
