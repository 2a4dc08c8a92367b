import Foundation
import OCI
import TestSupport
import Testing

/// RELIABILITY.md §5: content that lies about what it is. Each test is named as its row.
@Suite struct AttackContentTests {
    private static let name = "/v2/library/nginx"
    private static let image = "application/vnd.oci.image.manifest.v1+json"
    private static let index = "application/vnd.oci.image.index.v1+json"
    private static let dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
    private static let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let descriptor = "{\"mediaType\":\"a/b\",\"digest\":\"sha256:\(hex)\",\"size\":3}"

    // MARK: - One digest, two meanings by media type; CVE-2021-41190

    private static let ambiguous: [(document: String, type: String)] = [
        // The body says another type than the header.
        ("{\"schemaVersion\":2,\"mediaType\":\"\(index)\",\"config\":\(descriptor),\"layers\":[]}", image),
        ("{\"schemaVersion\":2,\"mediaType\":\"\(image)\",\"manifests\":[]}", index),
        ("{\"schemaVersion\":2,\"mediaType\":\"\(dockerImage)\",\"config\":\(descriptor),\"layers\":[]}", image),
        // It has the fields of both.
        ("{\"schemaVersion\":2,\"config\":\(descriptor),\"layers\":[],\"manifests\":[]}", image),
        ("{\"schemaVersion\":2,\"config\":\(descriptor),\"layers\":[],\"manifests\":[]}", index),
        ("{\"schemaVersion\":2,\"layers\":null,\"manifests\":[\(descriptor)]}", index),
        // It has them for readers that fold case, as Go's do.
        ("{\"schemaVersion\":2,\"config\":\(descriptor),\"layers\":[],\"Manifests\":[]}", image),
        // It has the fields of the other.
        ("{\"schemaVersion\":2,\"manifests\":[]}", image),
        ("{\"schemaVersion\":2,\"config\":\(descriptor),\"layers\":[]}", index),
    ]

    @Test("one digest, two meanings by media type: passed on by digest, refused by tag, never kept", arguments: ambiguous.indices)
    func twoMeanings(_ number: Int) async throws {
        let (text, type) = Self.ambiguous[number]
        let upstream = try ScriptedUpstream()
        let digest = upstream.addManifest(Array(text.utf8), mediaType: type, in: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.get("\(Self.name)/manifests/\(digest)")
                #expect(response.status == 200)
                #expect(response.text == text)
                #expect(response.header("content-type") == type)
                #expect(response.header("x-amargo-cache") == "MISS")
                #expect(try await server.get("\(Self.name)/manifests/latest").status == 502)
            }
            // Storing runs behind the answer: what is stored after it would be stored before this one.
            let proof = upstream.addImage(repository: "library/nginx", tag: "proof")
            #expect(try await server.get("\(Self.name)/manifests/proof").status == 200)
            try await server.waitUntilStored(proof.manifestDigest)
            #expect(try !server.isStored(digest))
            #expect(upstream.requests("GET", contains: digest).count == 2)
        }
    }

    @Test(
        "one digest, two meanings by media type: what was stored keeps the type it came with, whatever is said on the second pull"
    )
    func typeFlip() async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let document = "{\"schemaVersion\":2,\"config\":\(Self.descriptor),\"layers\":[]}"
        let digest = upstream.addManifest(Array(document.utf8), mediaType: Self.image, in: "library/nginx", tag: "latest")
        upstream.addManifest(Array(document.utf8), mediaType: Self.dockerImage, in: "library/other", tag: "latest")
        let options = ServerHarness.Options(cacheTtl: .zero, storePath: folder.path("store"))
        @Sendable func expectImage(_ response: RawResponse) {
            #expect(response.status == 200)
            #expect(response.text == document)
            #expect(response.header("content-type") == Self.image)
            #expect(response.header("docker-content-digest") == digest)
        }
        try await ServerHarness.run(upstream, options) { server async throws in
            expectImage(try await server.get("\(Self.name)/manifests/\(digest)"))
            try await server.waitUntilStored(digest)
            upstream.scriptForever(RequestMatcher(contains: "/nginx/manifests/"), .wrongContentType(Self.index))
            expectImage(try await server.get("\(Self.name)/manifests/\(digest)"))
            for method in ["GET", "HEAD"] {
                let response = try await server.get("\(Self.name)/manifests/latest", method: method)
                #expect(response.header("content-type") == Self.image)
                // From another repository, of an upstream that has said another type all along.
                let other = try await server.get("/v2/library/other/manifests/latest", method: method)
                #expect(other.header("content-type") == Self.image)
            }
        }
        try await ServerHarness.run(upstream, options) { server async throws in
            expectImage(try await server.get("\(Self.name)/manifests/\(digest)"))
            expectImage(try await server.get("\(Self.name)/manifests/latest"))
        }
    }

    // MARK: - JSON read two ways

    @Test(
        "JSON read two ways: passed on by digest, refused by tag, never kept",
        arguments: [
            "\u{FEFF}{\"schemaVersion\":2,\"manifests\":[]}", "{\"schemaVersion\":2,\"manifests\":[],\"manifests\":[]}",
            "{\"schemaVersion\":2,\"manifests\":[],\"manifest\\u0073\":[]}", "{\"schemaVersion\":2,\"manifests\":[]}{}",
            "{\"schemaVersion\":2,\"manifests\":[],\"a\":\"\\ud800\"}", "{\"schemaVersion\":2,\"manifests\":[]}\u{0}",
            "{\"schemaVersion\":2,\"manifests\":[],\"a\":\(String(repeating: "[", count: 64))\(String(repeating: "]", count: 64))}",
            "{\"schemaVersion\":2,\"manifests\":[],/**/\"a\":1}", "{\"schemaVersion\":2,\"manifests\":[],}",
            "{\"schemaVersion\":2,\"manifests\":[],\"a\":01}", "{'schemaVersion':2,'manifests':[]}",
        ])
    func twoReaders(_ document: String) async throws {
        try await Self.expectPassedOn(Array(document.utf8))
    }

    @Test(
        "JSON read two ways: another encoding than UTF-8",
        arguments: [String.Encoding.utf16, .utf16LittleEndian, .utf32BigEndian])
    func encodings(_ encoding: String.Encoding) async throws {
        let document = try #require("{\"schemaVersion\":2,\"manifests\":[]}".data(using: encoding))
        try await Self.expectPassedOn(Array(document))
    }

    private static func expectPassedOn(_ document: [UInt8]) async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addManifest(document, mediaType: Self.index, in: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.get("\(Self.name)/manifests/\(digest)")
                #expect(response.status == 200)
                #expect(response.body == document)
                #expect(response.header("x-amargo-cache") == "MISS")
            }
            #expect(try await server.get("\(Self.name)/manifests/latest").status == 502)
            #expect(try !server.isStored(digest))
            #expect(server.store.catalog.total.blobs == 0)
        }
    }

    // MARK: - Pinned digest answered with another valid manifest

    @Test("pinned digest answered with another valid manifest: a 502, and nothing is kept", arguments: ["sha256", "sha512"])
    func pinned(_ algorithm: String) async throws {
        let upstream = try ScriptedUpstream()
        let other = upstream.addImage(repository: "library/nginx", tag: "latest", seed: 7)
        let pinned = "\(algorithm):\(String(repeating: Self.hex, count: algorithm == "sha256" ? 1 : 2))"
        let answer = Behaviour.status(
            200, headers: [("Content-Type", other.mediaType), ("Docker-Content-Digest", pinned)], body: other.manifest.bytes)
        upstream.scriptForever(.manifest(pinned), answer)
        try await ServerHarness.run(upstream) { server async throws in
            for _ in 0..<2 {
                let response = try await server.get("\(Self.name)/manifests/\(pinned)")
                #expect(response.status == 502)
                #expect(response.header("content-type") == "application/json")
            }
            #expect(try !server.isStored(pinned))
            #expect(try !server.isStored(other.manifestDigest))
            #expect(server.store.catalog.total.blobs == 0)
            // What was sent in its place is still to be had under its own name.
            #expect(try await server.get("\(Self.name)/manifests/latest").body == other.manifest.bytes)
        }
    }

    // MARK: - Layer urls[]; CVE-2020-15157

    @Test("layer urls[] host gets the credentials: urls are never followed", arguments: [true, false])
    func urls(_ isForeign: Bool) async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let evil = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 5000, seed: 51)
        let present = upstream.addBlob(bytes, in: "library/nginx")
        evil.addFile(bytes, at: "/layer")
        let type =
            isForeign
            ? "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" : "application/vnd.oci.image.layer.v1.tar+gzip"
        func layer(_ digest: String) -> String {
            "{\"mediaType\":\"\(type)\",\"digest\":\"\(digest)\",\"size\":5000,\"urls\":[\"\(evil.url)/layer\"]}"
        }
        let absent = "sha256:\(Self.hex)"
        let document = "{\"schemaVersion\":2,\"config\":\(layer(present)),\"layers\":[\(layer(present)),\(layer(absent))]}"
        let digest = upstream.addManifest(Array(document.utf8), mediaType: Self.image, in: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("\(Self.name)/manifests/latest").text == document)
            try await server.waitUntilStored(digest)
            #expect(try await server.blob(present).body == bytes)
            try await server.waitUntilStored(present)
            // Not even where the registry does not have it.
            #expect(try await server.blob(absent).status == 404)
            #expect(evil.acceptedConnectionCount == 0)
        }
    }

    // MARK: - Digest text as path or bypass; CVE-2024-3727

    private static let badDigests: [String] = [
        "sha256:\(hex.dropLast())", "sha256:\(hex)0", "sha256:", "sha256", "sha256:\(hex.uppercased())", "SHA256:\(hex)",
        "Sha256:\(hex)",
        "sha256:\(hex.dropLast())g", "sha256:\(hex.dropLast())%EF%BC%91", "sha256:\(hex.dropLast(2))%D9%A1", "sha256:\(hex)%00",
        "sha256:%00\(hex.dropFirst())", "sha256:\(hex)%0D%0AX:y", "sha256:\(hex)%20", "%20sha256:\(hex)", "sha256:..%2f..%2fetc",
        "sha256:../../../etc/passwd", "sha256:%2e%2e/%2e%2e/\(hex)", "../sha256:\(hex)", "sha256:%2e%2e\(hex.dropFirst(2))",
        "md5:900150983cd24fb0d6963f7d28e17f72", "sha1:a9993e364706816aba3e25717850c26c9cd0d89d", "sha384:\(hex)\(hex.prefix(32))",
        "sha256+b64:\(hex)", "sha256+sha512:\(hex)", "blake3:\(hex)", "sha512:\(hex)", "sha256:\(hex)\(hex)",
        "sha256:sha256:\(hex)",
        "sha256-\(hex)", "sha256@\(hex)", "sha256::\(hex)", ":\(hex)", hex, "sha256%3A\(hex)%3A", "sha256:\(hex);x",
        "sha256:\(hex)@sha256:\(hex)",
    ]

    @Test("digest text as path or bypass: refused before anybody is asked, nothing is opened")
    func digestText() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for text in Self.badDigests {
                for kind in ["blobs", "referrers"] {
                    let response = try await server.get("\(Self.name)/\(kind)/\(text)")
                    // More slashes make it another path, at which there is nothing.
                    #expect(response.status == 400 || response.status == 404 && text.contains("/"), "\(kind)/\(text)")
                }
                #expect(upstream.requests.isEmpty, "\(text)")
                guard text.contains(":") || text.contains("%") else { continue }
                let manifest = try await server.get("\(Self.name)/manifests/\(text)")
                #expect(manifest.status == 400 || manifest.status == 404 && text.contains("/"), "manifests/\(text)")
            }
            #expect(upstream.requests.isEmpty)
            #expect(server.store.catalog.total.blobs == 0)
            #expect(try server.spoolEntries().isEmpty)
        }
    }

    @Test("digest text as path or bypass: sha256 and sha512 of equal beginnings never share a file")
    func algorithms() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 70_000, seed: 52)
        let short = upstream.addBlob(bytes, in: "library/nginx")
        let long = upstream.addBlob(bytes, in: "library/nginx", algorithm: "sha512")
        // Another blob's bytes under a sha512 that begins with the sha256 of these.
        let claimed = "sha512:\(short.dropFirst(7))\(short.dropFirst(7))"
        upstream.addBlob(bytes, in: "library/nginx", claiming: claimed)
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(short).body == bytes)
            try await server.waitUntilStored(short)
            let response = try await server.blob(claimed)
            #expect(response.status != 200 || !response.isComplete)
            #expect(try !server.isStored(claimed))
            #expect(try await server.blob(long).body == bytes)
            try await server.waitUntilStored(long)
            #expect(server.store.catalog.total.blobs == 2)
        }
    }

    // MARK: - Endless Link: next; GHSA-298f-872v-2rcx

    @Test("endless Link: next: another origin is never asked; its query is, at the registry that we know")
    func foreignLink() async throws {
        let upstream = try ScriptedUpstream()
        let evil = try ScriptedUpstream()
        let path = "\(Self.name)/referrers/sha256:\(Self.hex)"
        func page(_ link: String?) -> Behaviour {
            .status(
                200, headers: [("Content-Type", Self.index)] + (link.map { [("Link", "<\($0)>; rel=\"next\"")] } ?? []),
                body: Array("{\"schemaVersion\":2,\"manifests\":[]}".utf8))
        }
        upstream.script(
            .path(path), page("\(evil.url)/steal?page=2"), page("//127.0.0.1:\(evil.port)/steal?page=3"),
            page("/v2/library/private/referrers/sha256:\(Self.hex)?page=4"), page(nil))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get(path).status == 200)
            #expect(upstream.requests.map(\.target) == ["", "?page=2", "?page=3", "?page=4"].map { path + $0 })
            #expect(evil.acceptedConnectionCount == 0)
        }
    }
}
