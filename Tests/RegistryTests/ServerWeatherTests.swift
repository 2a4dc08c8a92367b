import OCI
import TestSupport
import Testing

/// What an upstream does, and what becomes of it: nothing stored, the digest stored, the tag stored.
@Suite struct ServerWeatherTests {
    /// A row of the table of upstream outcomes.
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let behaviour: Behaviour?
        /// Status and code for absent content.
        let cold: (status: Int, manifestCode: String, blobCode: String)
        /// Whether a stored tag is served; else it is answered as if it were absent.
        let servesTag: Bool

        var testDescription: String { self.name }
    }

    /// A behaviour of nil: nobody listens there.
    static let rows: [Row] = [
        .init(name: "404", behaviour: .status(404), cold: (404, "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"), servesTag: false),
        .init(name: "401", behaviour: .status(401), cold: (403, "DENIED", "DENIED"), servesTag: true),
        .init(name: "403", behaviour: .status(403), cold: (403, "DENIED", "DENIED"), servesTag: true),
        .init(name: "429", behaviour: .status(429), cold: (429, "TOOMANYREQUESTS", "TOOMANYREQUESTS"), servesTag: true),
        .init(name: "500", behaviour: .status(500), cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(name: "502", behaviour: .status(502), cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(name: "503", behaviour: .status(503), cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(name: "504", behaviour: .status(504), cold: (504, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(name: "connection refused", behaviour: nil, cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(name: "reset", behaviour: .reset, cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(name: "closed", behaviour: .closeImmediately, cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(
            name: "not HTTP", behaviour: .raw("SSH-2.0-OpenSSH_9.2\r\n", thenClose: true),
            cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
        .init(
            name: "a status out of place", behaviour: .status(204), cold: (502, "UNAVAILABLE", "UNAVAILABLE"), servesTag: true),
    ]

    private static let tagPath = "/v2/library/nginx/manifests/latest"

    @Test("nothing stored", arguments: Self.rows)
    func cold(_ row: Row) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        if let behaviour = row.behaviour { upstream.scriptForever(.any, behaviour) } else { upstream.stop() }
        try await ServerHarness.run(upstream) { server async throws in
            for reference in ["latest", image.manifestDigest] {
                let manifest = try await server.get("/v2/library/nginx/manifests/\(reference)")
                #expect(manifest.status == row.cold.status)
                #expect(manifest.text.contains("\"code\":\"\(row.cold.manifestCode)\""))
                #expect(!manifest.text.contains("<html"))
            }
            let blob = try await server.blob(image.configDigest)
            #expect(blob.status == row.cold.status)
            #expect(blob.text.contains("\"code\":\"\(row.cold.blobCode)\""))
            if row.cold.status == 429 { #expect(blob.header("retry-after") == "60") }
            let head = try await server.get("/v2/library/nginx/blobs/\(image.configDigest)", method: "HEAD")
            #expect(head.status == row.cold.status)
            #expect(server.store.catalog.total.blobs == 0)
        }
    }

    @Test("the digest stored: nobody is asked; the tag stored: it is served, STALE, or it is gone", arguments: Self.rows)
    func warm(_ row: Row) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get(Self.tagPath)
            for blob in image.blobs { _ = try await server.blob(blob.digest) }
            for digest in [image.manifestDigest] + image.blobs.map(\.digest) { try await server.waitUntilStored(digest) }
            if let behaviour = row.behaviour { upstream.scriptForever(.any, behaviour) } else { upstream.stop() }
            let before = upstream.requests.count
            for blob in image.blobs {
                let response = try await server.blob(blob.digest)
                #expect(response.header("x-amargo-cache") == "HIT")
                #expect(response.body == blob.bytes)
            }
            #expect(try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)").body == image.manifest.bytes)
            #expect(upstream.requests.count == before)
            let tag = try await server.get(Self.tagPath)
            if row.servesTag {
                #expect(tag.status == 200)
                #expect(tag.header("x-amargo-cache") == "STALE")
                #expect(tag.body == image.manifest.bytes)
            } else {
                #expect(tag.status == 404)
            }
            // The weather takes nothing away.
            #expect(try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)").body == image.manifest.bytes)
        }
    }

    @Test("a tag that moved to something that is no manifest leaves the old one in place")
    func movedToNonsense() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get(Self.tagPath)
            try await server.waitUntilStored(image.manifestDigest)
            // The tag follows its manifest.
            let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
            try await eventually("the tag is stored") {
                server.store.catalog.tag(try OCI.Tag(parsing: "latest"), in: repository) != nil
            }
            upstream.addManifest(
                Array("<html>".utf8), mediaType: "application/vnd.oci.image.manifest.v1+json", in: "library/nginx", tag: "latest")
            let response = try await server.get(Self.tagPath)
            #expect(response.header("x-amargo-cache") == "STALE")
            #expect(response.body == image.manifest.bytes)
        }
    }
}
