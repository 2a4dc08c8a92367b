import Registry
import TestSupport
import Testing

/// `Cache-Control: only-if-cached`: what is stored, or 504, and no upstream is asked. Source: RFC 9111, 5.2.1.7.
@Suite struct OnlyIfCachedTests {
    private static let header = [("Cache-Control", "only-if-cached")]
    private static let other = "sha256:\(String(repeating: "a", count: 64))"

    @Test("what is stored is answered as ever, by the hot path and by the parser")
    func stored() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            try await server.warm(image)
            let before = upstream.requests.count
            for headers in [Self.header, Self.header + [("TE", "trailers")], [("cache-control", "max-stale, Only-If-Cached")]] {
                for method in ["GET", "HEAD"] {
                    for path in [image.manifestPath, "/v2/library/nginx/manifests/\(image.manifestDigest)"] {
                        let response = try await server.get(path, headers: headers, method: method)
                        #expect(response.status == 200)
                        #expect(response.header("x-amargo-cache") == "HIT")
                        if method == "GET" { #expect(response.body == image.manifest.bytes) }
                    }
                    for blob in image.blobs {
                        #expect(try await server.get(image.blobPath(blob.digest), headers: headers, method: method).status == 200)
                    }
                }
                let part = try await server.blob(image.config.digest, headers: headers + [("Range", "bytes=0-0")])
                #expect(part.status == 206)
            }
            #expect(upstream.requests.count == before)
        }
    }

    @Test(
        "what is not stored is 504 with an error document, and nobody is asked",
        arguments: [
            "manifests/nowhere", "manifests/\(Self.other)", "blobs/\(Self.other)", "tags/list", "referrers/\(Self.other)",
        ])
    func absent(_ path: String) async throws {
        let upstream = try ScriptedUpstream()
        _ = upstream.addImage(repository: "library/redis", tag: "nowhere")
        try await ServerHarness.run(upstream) { server async throws in
            for method in ["GET", "HEAD"] {
                let response = try await server.get("/v2/library/redis/\(path)", headers: Self.header, method: method)
                #expect(response.status == 504)
                #expect(response.header("content-type") == "application/json")
                if method == "GET" { #expect(response.text.contains(#""code":"UNAVAILABLE""#), "\(response.text)") }
            }
            #expect(upstream.requests.isEmpty)
            #expect(upstream.acceptedConnectionCount == 0)
        }
    }

    @Test("a tag whose time is over is answered as STALE, without a question")
    func stale() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            try await server.warm(image)
            let before = upstream.requests.count
            for _ in 0..<2 {
                let response = try await server.get(image.manifestPath, headers: Self.header)
                #expect(response.status == 200)
                #expect(response.header("x-amargo-cache") == "STALE")
                #expect(response.header("warning")?.hasPrefix("299 - ") == true)
                #expect(response.body == image.manifest.bytes)
            }
            #expect(upstream.requests.count == before)
            // Without the wish it is asked for, as ever.
            #expect(try await server.get(image.manifestPath).status == 200)
            #expect(upstream.requests.count == before + 1)
        }
    }

    @Test("lists are answered as they last were, else from the store")
    func lists() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        upstream.setTag("other", in: "library/nginx", to: image.manifestDigest)
        try await ServerHarness.run(upstream) { server async throws in
            try await server.warm(image)
            let before = upstream.requests.count
            let stored = try await server.get("/v2/library/nginx/tags/list", headers: Self.header)
            #expect(stored.status == 200)
            #expect(stored.header("x-amargo-cache") == "STALE")
            #expect(stored.text.contains(#""tags":["latest"]"#))
            #expect(upstream.requests.count == before)
            _ = try await server.get("/v2/library/nginx/tags/list")
            let known = try await server.get("/v2/library/nginx/tags/list", headers: Self.header)
            #expect(known.header("x-amargo-cache") == "HIT")
            #expect(known.text.contains(#""tags":["latest","other"]"#))
            #expect(upstream.requests.count == before + 1)
        }
    }

    @Test("a blob that is on its way, and one that is gone from the disk, are not stored")
    func onItsWay() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 3)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 512 << 10, gate))
        try await ServerHarness.run(upstream) { server async throws in
            async let whole = server.blob(digest)
            try await gate.waitUntilReached()
            #expect(try await server.blob(digest, headers: Self.header).status == 504)
            gate.open()
            #expect(try await whole.body == bytes)
            try await server.waitUntilStored(digest)
            #expect(try await server.blob(digest, headers: Self.header).body == bytes)
        }
    }
}
