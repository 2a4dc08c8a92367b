import Foundation
import TestSupport
import Testing

/// `--offline`: nothing is asked, what is stored is served whatever its age, and what is not is a 404.
@Suite struct ServerOfflineTests {
    private static let other = "sha256:\(String(repeating: "a", count: 64))"

    /// A store that was filled by a server which may ask, served by one which may not.
    private static func run(
        fill: @Sendable (ServerHarness) async throws -> Void, _ upstream: ScriptedUpstream,
        _ body: @Sendable (ServerHarness) async throws -> Void
    ) async throws {
        let folder = try TemporaryDirectory()
        var options = ServerHarness.Options(cacheTtl: .zero, storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options, fill)
        let connections = upstream.acceptedConnectionCount
        let requests = upstream.requests.count
        options.isOffline = true
        try await ServerHarness.run(upstream, options, body)
        #expect(upstream.acceptedConnectionCount == connections, "nothing is asked, nobody is dialled")
        #expect(upstream.requests.count == requests)
    }

    @Test("what is stored is served by tag and digest, the tag past its time as STALE, and lists come from the store")
    func stored() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await Self.run(fill: { try await $0.warm(image) }, upstream) { server async throws in
            for method in ["GET", "HEAD"] {
                let tag = try await server.get(image.manifestPath, method: method)
                #expect(tag.status == 200)
                #expect(tag.header("docker-content-digest") == image.manifestDigest)
                #expect(tag.header("x-amargo-cache") == "STALE")
                #expect(tag.header("warning")?.hasPrefix("299 - ") == true)
            }
            let manifest = try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)")
            #expect(manifest.body == image.manifest.bytes)
            #expect(manifest.header("x-amargo-cache") == "HIT")
            for blob in image.blobs {
                #expect(try await server.blob(blob.digest).body == blob.bytes)
                let range = try await server.blob(blob.digest, headers: [("Range", "bytes=1-")])
                #expect(range.status == 206)
                #expect(range.body == Array(blob.bytes.dropFirst()))
            }
            #expect(try await server.get("/v2/library/nginx/tags/list").text.contains(#""tags":["latest"]"#))
            #expect(try await server.get("/v2/_catalog").text.contains("library/nginx"))
            let referrers = try await server.get("/v2/library/nginx/referrers/\(image.manifestDigest)")
            #expect(referrers.status == 200)
            #expect(referrers.header("content-type") == "application/vnd.oci.image.index.v1+json")
            #expect(referrers.text.contains(#""manifests":[]"#))
            #expect(try await server.get("/health").text.contains(#""state":"offline""#))
        }
    }

    @Test(
        "what is not stored is a 404 with the code of what was asked for, and a sentence that says why",
        arguments: [
            ("manifests/nowhere", "MANIFEST_UNKNOWN"), ("manifests/\(Self.other)", "MANIFEST_UNKNOWN"),
            ("blobs/\(Self.other)", "BLOB_UNKNOWN"), ("tags/list", "NAME_UNKNOWN"),
            ("referrers/\(Self.other)", "MANIFEST_UNKNOWN"),
        ])
    func absent(_ path: String, _ code: String) async throws {
        let upstream = try ScriptedUpstream()
        _ = upstream.addImage(repository: "library/redis")
        try await Self.run(fill: { _ in }, upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.get("/v2/library/redis/\(path)")
                #expect(response.status == 404)
                #expect(response.text.contains("\"code\":\"\(code)\""))
                #expect(response.text.contains("offline"))
                #expect(try await server.get("/v2/library/redis/\(path)", method: "HEAD").status == 404)
            }
        }
    }

    @Test("an image that lacks a layer is a 404 by tag and by digest, and an index while none of its images is whole")
    func incomplete() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: nil, seed: 1)
        let part = upstream.addImage(repository: "library/nginx", tag: "part", seed: 2)
        let index = upstream.addIndex(
            repository: "library/nginx", tag: "index", images: [(image, "linux/amd64"), (part, "linux/arm64")])
        let lone = upstream.addIndex(repository: "library/nginx", tag: "lone", images: [(part, "linux/arm64")])
        let fill: @Sendable (ServerHarness) async throws -> Void = { server in
            try await server.warm(image)
            for reference in ["part", "index", "lone"] {
                #expect(try await server.get("/v2/library/nginx/manifests/\(reference)").status == 200)
            }
            for layer in part.layers { _ = try await server.blob(layer.digest) }
            for digest in [part.manifestDigest, index.digest, lone.digest] + part.layerDigests {
                try await server.waitUntilStored(digest)
            }
            try await server.waitUntilTagged("part", "index", "lone")
        }
        try await Self.run(fill: fill, upstream) { server async throws in
            for reference in ["part", part.manifestDigest, "lone", lone.digest] {
                let response = try await server.get("/v2/library/nginx/manifests/\(reference)")
                #expect(response.status == 404, "\(reference)")
                #expect(response.text.contains("\"code\":\"MANIFEST_UNKNOWN\""))
                #expect(response.text.contains("offline"))
            }
            for reference in ["index", index.digest, image.manifestDigest] {
                #expect(try await server.get("/v2/library/nginx/manifests/\(reference)").status == 200, "\(reference)")
            }
            // Content is content: what there is of the image is served.
            for layer in part.layers { #expect(try await server.blob(layer.digest).body == layer.bytes) }
        }
    }

    @Test("the clock may say what it wants", arguments: [-315_360_000, 315_360_000] as [Int64])
    func clock(_ jump: Int64) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await Self.run(fill: { try await $0.warm(image) }, upstream) { server async throws in
            server.wallClock.advance(by: jump)
            #expect(try await server.get(image.manifestPath).body == image.manifest.bytes)
        }
    }

    @Test("what an earlier download left is kept for the day when it may be gone on with")
    func partial() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 24 << 20, seed: 61)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.script(.blob(digest), .closeAfter(bytes: 20 << 20))
        upstream.scriptForever(.blob(digest), .status(500))
        let folder = try TemporaryDirectory()
        var options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try await !server.blob(digest).isComplete)
            try await eventually("the download has ended") { server.cache.downloads.count == 0 }
        }
        options.isOffline = true
        try await ServerHarness.run(upstream, options) { server async throws in
            for _ in 0..<2 { #expect(try await server.blob(digest).status == 404) }
        }
        upstream.clearScripts()
        options.isOffline = false
        let before = upstream.requests.count
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try await server.blob(digest).body == bytes)
            #expect(upstream.requests.dropFirst(before).allSatisfy { $0.header("range") != nil })
        }
    }
}
