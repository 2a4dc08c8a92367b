import TestSupport
import Testing

/// How upstreams are asked: tokens, redirects, patience.
@Suite struct ServerUpstreamTests {
    private func token(_ upstream: ScriptedUpstream) -> [RecordedRequest] { upstream.requests("GET", path: "/token") }

    @Test("an anonymous token is fetched once for a scope, however many ask, and its realm is remembered")
    func tokens() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest", layerSizes: Array(repeating: 2000, count: 8))
        let other = upstream.addImage(repository: "library/redis", tag: "latest", seed: 3)
        try await ServerHarness.run(upstream) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for layer in image.layers { clients.addTask { try await server.blob(layer.digest) } }
                for try await response in clients { #expect(response.status == 200) }
            }
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(self.token(upstream).count == 1)
            #expect(self.token(upstream)[0].query("scope") == ["repository:library/nginx:pull"])
            let challenged = upstream.requests.filter { $0.path.contains("/redis/") }.count
            #expect(challenged == 0)
            // The next repository needs no 401: the realm is known.
            #expect(try await server.get("/v2/library/redis/manifests/latest").body == other.manifest.bytes)
            #expect(self.token(upstream).count == 2)
            #expect(upstream.requests.filter { $0.path.contains("/redis/") && $0.header("authorization") == nil }.isEmpty)
        }
    }

    @Test("a token that was revoked is replaced once, unseen by the client")
    func revokedToken() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 200)
            upstream.revokeTokens()
            #expect(try await server.blob(image.layers[0].digest).body == image.layers[0].bytes)
            #expect(self.token(upstream).count == 2)
        }
    }

    @Test("a redirect to another host is followed without credentials")
    func redirect() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let delivery = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 200_000, seed: 41)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        delivery.addFile(bytes, at: "/storage/blob")
        upstream.script(.blob(digest), .redirect(to: "\(delivery.url)/storage/blob?signature=secret", status: 307))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(digest).body == bytes)
            #expect(delivery.requests.count == 1)
            #expect(delivery.requests[0].header("authorization") == nil)
        }
    }

    @Test("six redirects in a row, or one to nowhere, are a 502", arguments: ["loop", "file:///etc/passwd", "ftp://127.0.0.1/x"])
    func badRedirect(_ target: String) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Array("content".utf8), in: "library/nginx")
        let path = "/v2/library/nginx/blobs/\(digest)"
        upstream.scriptForever(.blob(digest), .redirect(to: target == "loop" ? upstream.url + path : target, status: 302))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(digest).status == 502)
            #expect(upstream.requests.count <= 6)
        }
    }

    @Test("a client's credentials and headers never go up, an upstream's challenge never comes down")
    func nothingForwarded() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            let headers = [("Authorization", "Basic c2VjcmV0"), ("Cookie", "a=b"), ("X-Forwarded-Host", "evil.example")]
            #expect(try await server.get("/v2/library/nginx/manifests/latest?x=y", headers: headers).status == 200)
            for request in upstream.requests {
                #expect(request.header("authorization") == nil)
                #expect(request.header("cookie") == nil)
                #expect(request.header("x-forwarded-host") == nil)
                #expect(!request.target.contains("?"))
                #expect(request.header("accept-encoding") == "identity")
            }
            upstream.scriptForever(.any, .status(401, headers: [("WWW-Authenticate", "Basic realm=\"evil\"")]))
            let denied = try await server.blob(image.layers[0].digest)
            #expect(denied.status == 403)
            #expect(denied.text.contains("DENIED"))
            #expect(denied.header("www-authenticate") == nil)
        }
    }

    @Test(
        "an upstream's failure becomes its answer",
        arguments: [(429, 429, "TOOMANYREQUESTS"), (403, 403, "DENIED"), (404, 404, "BLOB_UNKNOWN"), (400, 502, "UNAVAILABLE")])
    func failures(_ upstreamStatus: Int, _ status: Int, _ code: String) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Array("content".utf8), in: "library/nginx")
        upstream.scriptForever(.any, .status(upstreamStatus, headers: [("Retry-After", "7")]))
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.status == status)
            #expect(response.text.contains(code))
            if status == 429 { #expect(response.header("retry-after") == "7") }
        }
    }

    @Test("a 503 is asked again, and a connection that breaks before an answer, too", arguments: [Behaviour.status(503), .reset])
    func retried(_ behaviour: Behaviour) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 100_000, seed: 42)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.script(.blob(digest), behaviour)
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(digest).body == bytes)
            #expect(upstream.requests("GET", contains: digest).count == 2)
        }
    }

    @Test(
        "a manifest, an error or a token that comes a byte at a time is given up within the budget", arguments: [200, 404, 401])
    func dripping(_ status: Int) async throws {
        let upstream = try ScriptedUpstream(tokenService: status == 401)
        _ = upstream.addImage(repository: "library/nginx", tag: "latest")
        let drip = Behaviour.throttle(bytesPerSecond: 1)
        if status == 401 { upstream.scriptForever(.token, drip) } else { upstream.scriptForever(.manifest("latest"), drip) }
        if status == 404 {
            upstream.scriptForever(
                .manifest("latest"), Behaviour.status(404, body: Array(String(repeating: "x", count: 600).utf8)).and(drip))
        }
        let options = ServerHarness.Options(tune: { configuration in
            configuration.headTimeout = .milliseconds(800)
            configuration.budget = .milliseconds(1500)
        })
        try await ServerHarness.run(upstream, options) { server async throws in
            let start = ContinuousClock.now
            let response = try await server.get("/v2/library/nginx/manifests/latest")
            #expect(response.status == 504)
            #expect(start.duration(to: .now) < .seconds(60), "a byte a second would take minutes")
        }
    }

    @Test("a token service that has moved is found again by the registry's challenge")
    func movedRealm() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let other = upstream.addImage(repository: "library/redis", tag: "latest", seed: 3)
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            // The next token is refused once; the registry is asked, and says where tokens are.
            upstream.script(.token, .status(404))
            #expect(try await server.get("/v2/library/redis/manifests/latest").body == other.manifest.bytes)
        }
    }

    @Test("an upstream that does not answer is a 504 within the budget; one that is not there a 502 that names it")
    func silence() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Array("content".utf8), in: "library/nginx")
        let gate = Gate()
        upstream.scriptForever(.blob(digest), .stallBeforeHead(gate))
        let options = ServerHarness.Options(tune: { configuration in
            configuration.headTimeout = .milliseconds(200)
            configuration.budget = .milliseconds(600)
        })
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.status == 504)
            #expect(response.text.contains("UNAVAILABLE"))
            gate.open()
            upstream.stop()
            let gone = try await server.get("/v2/library/nginx/manifests/latest")
            #expect(gone.status == 502)
            #expect(gone.text.contains("127.0.0.1"))
        }
    }
}
