import TestSupport
import Testing

/// RELIABILITY.md, "parser blow-up" and "endless manifest, token, error, tag page": what costs more to read than to send is not
/// read. The sizes themselves are in `UpstreamLimitTests`, the documents in `ParserBlowUpTests`.
@Suite struct AttackParserTests {
    private static let marks = String(repeating: "\u{301}\u{323}", count: 500)
    private static let escapedMarks = String(repeating: "%CC%81%CC%A3", count: 300)
    private static let digest = "sha256:\(String(repeating: "a", count: 64))"

    @Test(
        "a head of combining marks is a 400 before anybody compares it",
        arguments: ["Accept", "Range", "If-None-Match", "If-Range", "Expect", "Connection", "User-Agent"])
    func fields(_ name: String) async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let response = try await server.get("/v2/", headers: [(name, "a" + Self.marks)])
            #expect(response.status == 400)
            #expect(response.header("connection") == "close")
            // Text that somebody could have written is opaque: RFC 9110, 5.5.
            #expect(try await server.get("/v2/", headers: [("X-City", "São Paulo"), ("User-Agent", "ö")]).status == 200)
        }
    }

    @Test(
        "a target of combining marks, as they are or escaped, is a 400",
        arguments: [
            "/v2/_catalog?last=a\(Self.escapedMarks)", "/v2/a/referrers/\(Self.digest)?artifactType=a\(Self.escapedMarks)",
            "/v2/_catalog?last=a\(Self.marks)", "/v2/a\(Self.marks)/manifests/x", "/v2/_catalog?a\(Self.marks)=b",
        ])
    func targets(_ target: String) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get(target).status == 400)
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test(
        "an upstream's head of combining marks is a 502", arguments: ["Content-Type", "Link", "Docker-Content-Digest", "X-Other"])
    func upstreamFields(_ name: String) async throws {
        let upstream = try ScriptedUpstream()
        _ = upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.scriptForever(.manifest("latest"), .replaceHeader(name, "a" + Self.marks))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 502)
        }
    }

    @Test("documents of combining marks are believed by nobody: a manifest, a token, a list; an error's code is unknown")
    func documents() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let long = String(repeating: Self.marks, count: 15)
        @Sendable func json(_ status: Int, _ text: String) -> Behaviour {
            .status(status, headers: [("Content-Type", "application/json")], body: Array(text.utf8))
        }
        upstream.scriptForever(.token, json(200, "{\"a\(long)\":1,\"token\":\"a\"}"))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 502)
            upstream.clearScripts()
            upstream.script(.get("/tags/list"), json(200, "{\"name\":\"a\",\"tags\":[\"a\(long)\"]}"))
            #expect(try await server.get("/v2/library/nginx/tags/list").status == 502)
            upstream.script(.manifest("latest"), json(404, "{\"errors\":[{\"code\":\"M\(long)\"}]}"))
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 404)
        }
    }

    @Test(
        "a size that is declared and not sent costs nothing: a layer of 2^62 bytes",
        arguments: [4_611_686_018_427_387_904, Int.max])
    func declaredSize(_ size: Int) async throws {
        let upstream = try ScriptedUpstream()
        let config = Fixtures.Descriptor(mediaType: ManifestFlavour.oci.configType, digest: Self.digest, size: size)
        let layer = Fixtures.Descriptor(
            mediaType: ManifestFlavour.oci.layerType, of: Fixtures.pseudoRandomBytes(count: 3000, seed: 5))
        let bytes = Fixtures.pseudoRandomBytes(count: 3000, seed: 5)
        _ = upstream.addBlob(bytes, in: "library/nginx")
        let manifest = Fixtures.imageManifest(
            config: config,
            layers: [Fixtures.Descriptor(mediaType: layer.mediaType, digest: layer.digest, size: size), config])
        let digest = upstream.addManifest(
            manifest, mediaType: ManifestFlavour.oci.manifestType, in: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == manifest)
            try await server.waitUntilStored(digest)
            // The layer is what its digest says, whatever the manifest says of its length.
            #expect(try await server.blob(layer.digest).body == bytes)
        }
    }
}
