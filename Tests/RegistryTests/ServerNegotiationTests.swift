import TestSupport
import Testing

/// Which manifest a client gets, and when none is the better answer.
@Suite struct ServerNegotiationTests {
    private static let path = "/v2/library/nginx/manifests/latest"
    private static let ociIndex = "application/vnd.oci.image.index.v1+json"
    private static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
    private static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

    @Test(
        "what the client accepts decides whether it is answered, never what it is answered with",
        arguments: [
            ([], 200),
            (["*/*"], 200),
            (["application/*"], 200),
            ([Self.ociIndex], 200),
            (["text/plain", "\(Self.ociIndex);q=0.5"], 200),
            ([Self.dockerManifest], 404),
            (["\(Self.ociIndex);q=0"], 200),
            (["\(Self.dockerManifest), \(Self.ociIndex)"], 200),
        ] as [([String], Int)])
    func accept(_ values: [String], _ status: Int) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: nil)
        let index = upstream.addIndex(repository: "library/nginx", images: [(image, "linux/amd64")])
        try await ServerHarness.run(upstream) { server async throws in
            for method in ["GET", "HEAD"] {
                let response = try await server.get(Self.path, headers: values.map { ("Accept", $0) }, method: method)
                #expect(response.status == status)
                if status == 200 {
                    #expect(response.header("content-type") == Self.ociIndex)
                    #expect(response.header("vary") == "Accept")
                    if method == "GET" { #expect(response.body == index.bytes) }
                } else if method == "GET" {
                    #expect(response.text.contains("MANIFEST_UNKNOWN"))
                    #expect(response.text.contains(Self.ociIndex))
                }
            }
            // Upstream is always asked for every type, whatever the client said: a tag is one digest.
            for request in upstream.requests(contains: "/manifests/latest") {
                #expect(request.header("accept")?.contains(Self.ociIndex) == true)
                #expect(request.header("accept")?.contains(Self.dockerManifest) == true)
                #expect(request.header("accept")?.contains("v1+prettyjws") == false)
            }
        }
    }

    @Test(
        "a client that knows images only gets the one for linux/amd64 out of a list", arguments: [ManifestFlavour.docker, .oci])
    func defaultPlatform(_ flavour: ManifestFlavour) async throws {
        let upstream = try ScriptedUpstream()
        let other = upstream.addImage(repository: "library/nginx", tag: nil, seed: 7, flavour: flavour, platform: "linux/arm64")
        let image = upstream.addImage(repository: "library/nginx", tag: nil, flavour: flavour)
        _ = upstream.addIndex(
            repository: "library/nginx", images: [(other, "linux/arm64"), (image, "linux/amd64")], flavour: flavour)
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.get(Self.path, headers: [("Accept", flavour.manifestType)])
                #expect(response.status == 200)
                #expect(response.body == image.manifest.bytes)
                #expect(response.header("docker-content-digest") == image.manifestDigest)
            }
        }
    }

    @Test("a manifest asked for under blobs/ is a clean 404")
    func manifestAsBlob() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.get(Self.path)
            try await server.waitUntilStored(image.manifestDigest)
            let response = try await server.blob(image.manifestDigest)
            #expect(response.status == 404)
            #expect(response.text.contains("BLOB_UNKNOWN"))
        }
    }

    @Test("with its upstream down an image stored in part is a 404, a whole one is served, and all is well when it is back")
    func incomplete() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get(Self.path)
            try await server.waitUntilStored(image.manifestDigest)
            for blob in image.blobs.dropLast() {
                _ = try await server.blob(blob.digest)
                try await server.waitUntilStored(blob.digest)
            }
            let byDigest = "/v2/library/nginx/manifests/\(image.manifestDigest)"
            #expect(try await server.get(byDigest).status == 200)
            upstream.stop()
            for path in [Self.path, byDigest] {
                let response = try await server.get(path)
                #expect(response.status == 404, "\(path)")
                #expect(response.text.contains("MANIFEST_UNKNOWN"))
            }
            try upstream.restart()
            #expect(try await server.get(byDigest).status == 200)
            #expect(try await server.get(Self.path).status == 200)
            let last = try #require(image.blobs.last)
            _ = try await server.blob(last.digest)
            try await server.waitUntilStored(last.digest)
            upstream.stop()
            #expect(try await server.get(Self.path).header("x-amargo-cache") == "STALE")
            #expect(try await server.get(byDigest).status == 200)
        }
    }

    @Test("with its upstream down an index is served while one of its images is whole")
    func incompleteIndex() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: nil)
        let other = upstream.addImage(repository: "library/nginx", tag: nil, seed: 7, platform: "linux/arm64")
        let index = upstream.addIndex(
            repository: "library/nginx", images: [(image, "linux/amd64"), (other, "linux/arm64")])
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get(Self.path)
            _ = try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)")
            for blob in image.blobs { _ = try await server.blob(blob.digest) }
            for digest in [index.digest, image.manifestDigest] + image.blobs.map(\.digest) {
                try await server.waitUntilStored(digest)
            }
            upstream.stop()
            #expect(try await server.get(Self.path).header("x-amargo-cache") == "STALE")
            #expect(try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)").status == 200)
            // Nobody can have the other platform: the upstream is not there to be asked.
            #expect(try await server.get("/v2/library/nginx/manifests/\(other.manifestDigest)").status == 502)
        }
    }

    @Test("a 429 comes from memory until the registry wants to be asked again")
    func cooldown() async throws {
        let upstream = try ScriptedUpstream()
        _ = upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.scriptForever(.any, .status(429, headers: [("Retry-After", "30")]))
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<5 {
                let response = try await server.get(Self.path)
                #expect(response.status == 429)
                let seconds = try #require(response.header("retry-after").flatMap { Int($0) })
                #expect((1...31).contains(seconds))
            }
            #expect(upstream.requests.count == 1)
        }
    }

    @Test("a 404 is remembered for a moment, and no longer")
    func negative() async throws {
        let upstream = try ScriptedUpstream()
        let absent = "sha256:" + String(repeating: "1", count: 64)
        try await ServerHarness.run(upstream, .init(absenceLifetime: .seconds(60))) { server async throws in
            for _ in 0..<3 {
                #expect(try await server.get(Self.path).status == 404)
                #expect(try await server.blob(absent).status == 404)
            }
            #expect(upstream.requests.count == 2)
        }
        try await ServerHarness.run(upstream, .init(absenceLifetime: .zero)) { server async throws in
            #expect(try await server.get(Self.path).status == 404)
            _ = upstream.addImage(repository: "library/nginx", tag: "latest")
            #expect(try await server.get(Self.path).status == 200)
        }
    }

    @Test("a range far ahead of what has arrived is asked for on its own, while the download goes on")
    func rangeFarAhead() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 48 << 20, seed: 61)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 1 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let first = try await RawConnection.connect(server.port)
            try await first.request("GET", "/v2/library/nginx/blobs/\(digest)")
            _ = try await first.readHead()
            try await gate.waitUntilReached()
            let start = 40 << 20
            let part = try await server.blob(digest, headers: [("Range", "bytes=\(start)-")])
            #expect(part.status == 206)
            #expect(part.header("content-range") == "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")
            #expect(part.body == Array(bytes[start...]))
            #expect(part.isComplete)
            // A client that leaves in the middle of one costs nothing.
            let gone = try await RawConnection.connect(server.port)
            try await gone.request("GET", "/v2/library/nginx/blobs/\(digest)", headers: [("Range", "bytes=\(start)-")])
            _ = try await gone.readHead()
            gone.reset()
            gate.open()
            let whole = try await first.readToEnd()
            #expect(whole.bytes == bytes)
            try await server.waitUntilStored(digest)
            first.close()
        }
    }
}
