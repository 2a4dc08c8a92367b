import TestSupport
import Testing

/// A registry with credentials: content belongs to the repositories that are known to hold it.
@Suite struct ServerPrivateTests {
    static let weathers: [(behaviour: Behaviour?, status: Int, code: String)] = [
        (.status(404), 404, "UNKNOWN"), (.status(403), 403, "DENIED"), (.status(500), 502, "UNAVAILABLE"),
        (.status(429), 429, "TOOMANYREQUESTS"),
    ]

    private static func options() -> ServerHarness.Options {
        var options = ServerHarness.Options()
        options.isPrivate = true
        return options
    }

    private static func blob(_ digest: String, _ repository: String) -> String { "/v2/\(repository)/blobs/\(digest)" }

    private static func manifest(_ digest: String, _ repository: String) -> String { "/v2/\(repository)/manifests/\(digest)" }

    @Test(
        "A's digest at B: the upstream decides, for GET, HEAD and Range, and what it refuses stays refused",
        arguments: [0, 1, 2, 3], ["GET", "HEAD", "RANGE"])
    func refused(_ weather: Int, _ how: String) async throws {
        let (behaviour, status, code) = Self.weathers[weather]
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        _ = upstream.addImage(repository: "team/b", tag: "other", seed: 9)
        try await ServerHarness.run(upstream, Self.options()) { server async throws in
            try await server.warm(image)
            if let behaviour { upstream.scriptForever(.init(contains: "/team/b/"), behaviour) }
            let headers = how == "RANGE" ? [("Range", "bytes=0-9")] : []
            for path in [Self.blob(image.layers[1].digest, "team/b"), Self.manifest(image.manifestDigest, "team/b")] {
                for _ in 0..<2 {
                    let response = try await server.get(path, headers: headers, method: how == "HEAD" ? "HEAD" : "GET")
                    #expect(response.status == status, "\(path)")
                    if how != "HEAD" { #expect(response.text.contains(code)) }
                    #expect(response.header("docker-content-digest") == nil)
                }
            }
            // A has lost nothing by it, and asks nobody.
            let before = upstream.requests.count
            #expect(try await server.get(Self.blob(image.layers[1].digest, "team/a")).body == image.layers[1].bytes)
            #expect(try await server.get(Self.manifest(image.manifestDigest, "team/a")).body == image.manifest.bytes)
            #expect(upstream.requests.count == before)
        }
    }

    @Test("A's digest at B, which has it too: one HEAD, no second download, and a hit from then on")
    func confirmed() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        _ = upstream.addImage(repository: "team/b")
        let layer = image.layers[1]
        try await ServerHarness.run(upstream, Self.options()) { server async throws in
            try await server.warm(image)
            #expect(try await server.get(Self.blob(layer.digest, "team/b")).body == layer.bytes)
            let range = try await server.get(Self.blob(layer.digest, "team/b"), headers: [("Range", "bytes=5-9")])
            #expect(range.status == 206)
            #expect(range.body == Array(layer.bytes[5...9]))
            #expect(range.header("x-amargo-cache") == "HIT")
            let asked = upstream.requests.filter { $0.path == Self.blob(layer.digest, "team/b") }
            #expect(asked.map(\.method) == ["HEAD"])
            for _ in 0..<2 {
                #expect(try await server.get(Self.manifest(image.manifestDigest, "team/b")).body == image.manifest.bytes)
            }
            #expect(
                upstream.requests.filter { $0.path == Self.manifest(image.manifestDigest, "team/b") }.map(\.method) == ["HEAD"])
        }
    }

    @Test("that B's manifest names A's layer does not give it to B")
    func namedOnly() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        let thief = upstream.addManifest(image.manifest.bytes, mediaType: image.mediaType, in: "team/b", tag: "thief")
        try await ServerHarness.run(upstream, Self.options()) { server async throws in
            try await server.warm(image)
            #expect(try await server.get(Self.manifest("thief", "team/b")).header("docker-content-digest") == thief)
            for blob in image.blobs { #expect(try await server.get(Self.blob(blob.digest, "team/b")).status == 404) }
        }
    }

    @Test("a download that runs for A tells B nothing")
    func running() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 2 << 20, seed: 67)
        let digest = upstream.addBlob(bytes, in: "team/a")
        _ = upstream.addImage(repository: "team/b")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 1 << 20, gate))
        try await ServerHarness.run(upstream, Self.options()) { server async throws in
            let client = try await RawConnection.connect(server.port)
            try await client.request("GET", Self.blob(digest, "team/a"))
            _ = try await client.readHead()
            #expect(try await server.get(Self.blob(digest, "team/b")).status == 404)
            #expect(try await server.get(Self.blob(digest, "team/b"), method: "HEAD").status == 404)
            gate.open()
            #expect(try await client.readToEnd().bytes == bytes)
        }
    }

    @Test("a confirmation that names another size confirms nothing")
    func otherSize() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        _ = upstream.addImage(repository: "team/b")
        upstream.scriptForever(.init(contains: "/team/b/blobs/"), .status(200, body: Array("<html>log in</html>".utf8)))
        try await ServerHarness.run(upstream, Self.options()) { server async throws in
            try await server.warm(image)
            #expect(try await server.get(Self.blob(image.layers[1].digest, "team/b")).status == 502)
        }
    }

    @Test("answers of such a registry are for the client alone; those of others for every cache", arguments: [true, false])
    func cacheControl(_ isPrivate: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        var options = Self.options()
        options.isPrivate = isPrivate
        let word = isPrivate ? "private" : "public"
        try await ServerHarness.run(upstream, options) { server async throws in
            for _ in 0..<2 {
                for path in [image.manifestPath, Self.manifest(image.manifestDigest, "team/a"), "/v2/team/a/tags/list"]
                    + image.layerDigests.map({ Self.blob($0, "team/a") })
                {
                    let control = try await server.get(path).header("cache-control")
                    #expect(control?.hasPrefix("\(word), max-age=") == true, "\(path)")
                }
            }
        }
    }

    @Test("offline, another repository's content is a 404")
    func offline() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        let folder = try TemporaryDirectory()
        var options = Self.options()
        options.storePath = folder.path("store")
        try await ServerHarness.run(upstream, options) { try await $0.warm(image) }
        options.isOffline = true
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try await server.get(Self.blob(image.layers[0].digest, "team/b")).status == 404)
            #expect(try await server.get(Self.manifest(image.manifestDigest, "team/b")).status == 404)
            #expect(try await server.get(Self.blob(image.layers[0].digest, "team/a")).body == image.layers[0].bytes)
            #expect(try await server.get(image.manifestPath).body == image.manifest.bytes)
        }
    }
}
