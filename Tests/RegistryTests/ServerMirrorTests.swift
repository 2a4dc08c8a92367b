import PullThrough
import TestSupport
import Testing
import Upstream

/// Several places for one registry's content, and those that fail.
@Suite struct ServerMirrorTests {
    private static func options(
        mirrors: [ScriptedUpstream], _ tune: @escaping @Sendable (inout UpstreamConfiguration) -> Void = { _ in }
    ) throws -> ServerHarness.Options {
        let addresses = try mirrors.map { try #require(UpstreamAddress($0.url)) }
        var options = ServerHarness.Options()
        options.tune = { configuration in
            configuration.mirrors = addresses
            tune(&configuration)
        }
        return options
    }

    @Test("a mirror is asked first, and the registry only for what no mirror has")
    func order() async throws {
        let registry = try ScriptedUpstream()
        let (first, second) = (try ScriptedUpstream(), try ScriptedUpstream())
        let image = registry.addImage(repository: "library/nginx", tag: "latest")
        second.addImage(repository: "library/nginx", tag: "latest")
        let digest = registry.addBlob(Array("only there".utf8), in: "library/nginx")
        try await ServerHarness.run(registry, try Self.options(mirrors: [first, second])) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(try await server.blob(image.layers[0].digest).body == image.layers[0].bytes)
            #expect(registry.requests.isEmpty)
            #expect(!first.requests.isEmpty)
            #expect(try await server.blob(digest).body == Array("only there".utf8))
            #expect(registry.requests.count == 1)
            #expect(try await server.blob("sha256:" + String(repeating: "0", count: 64)).status == 404)
        }
    }

    @Test("a mirror that fails is no reason to fail", arguments: ["down", "503", "429", "401", "garbage", "resets"])
    func failing(_ weather: String) async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest")
        switch weather {
        case "down": mirror.stop()
        case "503": mirror.scriptForever(.any, .status(503))
        case "429": mirror.scriptForever(.any, .status(429, headers: [("Retry-After", "100")]))
        case "401": mirror.scriptForever(.any, .status(401))
        case "garbage": mirror.scriptForever(.any, .raw("SSH-2.0-OpenSSH_9.2\r\n", thenClose: true))
        default: mirror.scriptForever(.any, .reset)
        }
        try await ServerHarness.run(registry, try Self.options(mirrors: [mirror])) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            for layer in image.layers { #expect(try await server.blob(layer.digest).body == layer.bytes) }
        }
    }

    @Test("a mirror's body that breaks is gone on with by Range, there or elsewhere")
    func brokenBody() async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 3_000_000, seed: 5)
        let digest = registry.addBlob(bytes, in: "library/nginx")
        mirror.addBlob(bytes, in: "library/nginx")
        mirror.script(.blob(digest), .resetAfter(bytes: 1_500_000), .status(503))
        mirror.scriptForever(RequestMatcher(contains: "/blobs/"), .status(503))
        try await ServerHarness.run(registry, try Self.options(mirrors: [mirror])) { server async throws in
            #expect(try await server.blob(digest).body == bytes)
            #expect(registry.requests.count == 1)
            #expect(registry.requests[0].header("range")?.hasPrefix("bytes=") == true)
        }
    }

    @Test("a mirror that answers with something else is passed over: nobody is told that the registry sent it")
    func wrongAnswers() async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest")
        let other = registry.addImage(repository: "library/other", tag: "latest", seed: 9)
        mirror.scriptForever(.any, .status(200, headers: [("Content-Type", "text/html")], body: Array("<html>".utf8)))
        try await ServerHarness.run(registry, try Self.options(mirrors: [mirror])) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(try await server.get("/v2/library/other/manifests/\(other.manifestDigest)").body == other.manifest.bytes)
            #expect(try await server.blob(image.layers[0].digest).body == image.layers[0].bytes)
            #expect(mirror.requests.count == 1, "passed over for a while")
        }
    }

    @Test("wrong bytes of a mirror are never a whole answer, and the next request has the registry's")
    func wrongBytes() async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 200_000, seed: 12)
        let digest = registry.addBlob(bytes, in: "library/nginx")
        mirror.addBlob(Fixtures.pseudoRandomBytes(count: 200_000, seed: 13), in: "library/nginx", claiming: digest)
        try await ServerHarness.run(registry, try Self.options(mirrors: [mirror])) { server async throws in
            let first = try await server.blob(digest)
            #expect(!first.isComplete || first.status != 200)
            #expect(try await server.blob(digest).body == bytes)
        }
    }

    @Test("a mirror that hangs costs a part of the time, and is left alone after the second time")
    func hanging() async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest", layerSizes: [500, 500, 500])
        let gate = Gate()
        mirror.scriptForever(.any, .stallBeforeHead(gate))
        let options = try Self.options(mirrors: [mirror]) { configuration in
            configuration.circuit.window = .seconds(3600)
            configuration.circuit.pause = .seconds(3600)
        }
        try await ServerHarness.run(registry, options) { server async throws in
            for layer in image.layers { #expect(try await server.blob(layer.digest).body == layer.bytes) }
            #expect(mirror.requests.count == 2)
            gate.open()
        }
    }

    @Test("credentials are the registry's alone: a mirror gets none, whatever it asks for")
    func credentials() async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest")
        mirror.scriptForever(.any, .status(401, headers: [("WWW-Authenticate", #"Basic realm="x""#)]))
        let address = try #require(UpstreamAddress(registry.url))
        let options = try Self.options(mirrors: [mirror]) { configuration in
            configuration.credentials = FixedCredential(Credential(username: "u", secret: .password("p")), for: address)
        }
        try await ServerHarness.run(registry, options) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(!mirror.requests.isEmpty)
            #expect(mirror.requests.allSatisfy { $0.header("authorization") == nil })
        }
    }

    @Test(
        "U20, circuit: after five requests in vain a place is left alone; a stored tag does not wait for it; then one asks again")
    func circuit() async throws {
        let registry = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest")
        var options = try Self.options(mirrors: []) { configuration in
            // However long this machine takes for five requests.
            configuration.circuit.window = .seconds(3600)
            configuration.circuit.pause = .seconds(3600)
        }
        options.cacheTtl = .zero
        try await ServerHarness.run(registry, options) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 200)
            for digest in [image.config.digest] + image.layers.map(\.digest) {
                #expect(try await server.blob(digest).status == 200)
                try await server.waitUntilStored(digest)
            }
            try await eventually("the tag is stored") {
                try await server.get("/v2/library/nginx/manifests/latest").header("x-amargo-cache") != "MISS"
            }
            registry.scriptForever(.any, .status(503))
            for number in 0..<5 {
                #expect(try await server.blob("sha256:" + String(repeating: "\(number)", count: 64)).status == 502)
            }
            let asked = registry.requests.count
            let stale = try await server.get("/v2/library/nginx/manifests/latest")
            #expect(stale.status == 200)
            #expect(stale.header("x-amargo-cache") == "STALE")
            let cold = try await server.blob("sha256:" + String(repeating: "a", count: 64))
            #expect(cold.status == 502)
            #expect(String(decoding: cold.body, as: UTF8.self).contains("UNAVAILABLE"))
            #expect(registry.requests.count == asked)
            let health = String(decoding: try await server.get("/health").body, as: UTF8.self)
            #expect(health.contains(#"{"address":"\#(registry.url)","circuit":"open"}"#))
        }
    }

    @Test("waiting for our own connections says nothing of the registry: its circuit stays closed")
    func ownConnections() async throws {
        let registry = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest")
        let held = registry.addBlob(Fixtures.pseudoRandomBytes(count: 300_000, seed: 21), in: "library/nginx")
        let other = registry.addBlob(Array("waits in vain".utf8), in: "library/nginx")
        let gate = Gate()
        registry.script(.blob(held), .holdAfter(bytes: 1000, gate))
        let options = try Self.options(mirrors: []) { configuration in
            configuration.connectionLimit = 1
            // Long enough that a busy machine makes the first connection in it: the second one waits it out.
            configuration.connectTimeout = .seconds(4)
            configuration.circuit.failures = 1
            configuration.circuit.pause = .seconds(3600)
        }
        try await ServerHarness.run(registry, options) { server async throws in
            async let first = server.blob(held)
            try await gate.waitUntilReached()
            let second = try await server.blob(other)
            #expect(second.status == 504)
            #expect(String(decoding: second.body, as: UTF8.self).contains("are in use"))
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            gate.open()
            #expect(try await first.status == 200)
            #expect(try await server.blob(other).status == 200)
        }
    }

    @Test("one repository's trouble is not another's: answers in between keep a circuit closed")
    func circuitStaysClosed() async throws {
        let registry = try ScriptedUpstream()
        let image = registry.addImage(repository: "library/nginx", tag: "latest", layerSizes: Array(repeating: 500, count: 8))
        registry.scriptForever(RequestMatcher(contains: "/broken/"), .status(503))
        try await ServerHarness.run(registry, try Self.options(mirrors: [])) { server async throws in
            for layer in image.layers {
                #expect(try await server.get("/v2/library/broken/manifests/x").status == 502)
                #expect(try await server.blob(layer.digest).body == layer.bytes)
            }
        }
    }

    @Test("a limit of bandwidth holds nothing back that is stored, and changes no byte")
    func bandwidth() async throws {
        let registry = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1_000_000, seed: 6)
        let digest = registry.addBlob(bytes, in: "library/nginx")
        let options = try Self.options(mirrors: []) { $0.bandwidthLimit = 2_000_000 }
        try await ServerHarness.run(registry, options) { server async throws in
            let start = ContinuousClock.now
            #expect(try await server.blob(digest).body == bytes)
            // The bucket holds half a million bytes; the other half takes a quarter of a second.
            #expect(start.duration(to: .now) >= .milliseconds(240))
            try await server.waitUntilStored(digest)
            #expect(try await server.blob(digest).header("x-amargo-cache") == "HIT")
        }
    }
}
