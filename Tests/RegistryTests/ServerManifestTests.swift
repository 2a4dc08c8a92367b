import Foundation
import OCI
import Storage
import TestSupport
import Testing

/// Tags, digests and what is believed for how long.
@Suite struct ServerManifestTests {
    private static let name = "/v2/library/nginx"

    @Test("every kind of manifest comes byte for byte with its own media type", arguments: [ManifestFlavour.oci, .docker])
    func exactBytes(_ flavour: ManifestFlavour) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "one", flavour: flavour)
        let other = upstream.addImage(repository: "library/nginx", tag: nil, seed: 9, flavour: flavour, platform: "linux/arm64")
        let index = upstream.addIndex(
            repository: "library/nginx", tag: "all", images: [(image, "linux/amd64"), (other, "linux/arm64")], flavour: flavour)
        try await ServerHarness.run(upstream) { server async throws in
            for (tag, digest, bytes, type) in [
                ("one", image.manifestDigest, image.manifest.bytes, flavour.manifestType),
                ("all", index.digest, index.bytes, flavour.indexType),
            ] {
                for reference in [tag, digest, tag, digest] {
                    let response = try await server.get("\(Self.name)/manifests/\(reference)")
                    #expect(response.status == 200)
                    #expect(response.body == bytes)
                    #expect(response.header("content-type") == type)
                    #expect(response.header("docker-content-digest") == digest)
                    #expect(response.header("etag") == "\"\(digest)\"")
                    let head = try await server.get("\(Self.name)/manifests/\(reference)", method: "HEAD")
                    #expect(head.header("content-length") == "\(bytes.count)")
                    #expect(head.header("docker-content-digest") == digest)
                    #expect(head.body.isEmpty)
                }
                try await server.waitUntilStored(digest)
            }
            // One GET for each, by tag; digests were never asked for.
            #expect(upstream.requests("GET", contains: "/manifests/").count == 2)
        }
    }

    @Test("nginx and library/nginx are one repository, and names of any depth are names")
    func names() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let deep = upstream.addImage(repository: "a/b/c/d/e", tag: "latest", seed: 2)
        try await ServerHarness.run(upstream) { server async throws in
            for path in ["/v2/nginx", "/v2/library/nginx", "/v2/docker.io/nginx", "/v2/index.docker.io/library/nginx"] {
                #expect(try await server.get("\(path)/manifests/latest").body == image.manifest.bytes)
            }
            #expect(try await server.get("/v2/nginx/manifests/latest?ns=docker.io").body == image.manifest.bytes)
            #expect(upstream.requests("GET", contains: "/manifests/").count == 1)
            #expect(try await server.get("/v2/a/b/c/d/e/manifests/latest").body == deep.manifest.bytes)
        }
    }

    @Test("a fresh tag asks nobody; an old one is confirmed by one HEAD")
    func revalidation() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            #expect(try await server.get("\(Self.name)/manifests/latest").header("x-amargo-cache") == "MISS")
            try await server.waitUntilStored(image.manifestDigest)
            try await self.waitForTag(server)
            let before = upstream.requests(path: "\(Self.name)/manifests/latest").count
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.header("x-amargo-cache") == "HIT")
            #expect(response.body == image.manifest.bytes)
            let asked = upstream.requests(path: "\(Self.name)/manifests/latest").dropFirst(before)
            #expect(asked.map(\.method) == ["HEAD"])
        }
        try await ServerHarness.run(upstream) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            let before = upstream.requests.count
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.header("x-amargo-cache") == "HIT")
            #expect(upstream.requests.count == before)
        }
    }

    private func waitForTag(_ server: ServerHarness) async throws {
        let tag = try Tag(parsing: "latest")
        let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
        try await eventually("the tag is stored") { server.store.catalog.tag(tag, in: repository) != nil }
    }

    @Test("a tag that moved is served anew; its old manifest stays by digest")
    func moved() async throws {
        let upstream = try ScriptedUpstream()
        let old = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            let new = upstream.addImage(repository: "library/nginx", tag: "latest", seed: 5)
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.body == new.manifest.bytes)
            #expect(response.header("x-amargo-cache") == "MISS")
            #expect(try await server.get("\(Self.name)/manifests/\(old.manifestDigest)").body == old.manifest.bytes)
            // Back again: what is stored already is not fetched again.
            try await server.waitUntilStored(new.manifestDigest)
            upstream.setTag("latest", in: "library/nginx", to: old.manifestDigest)
            let gets = upstream.requests("GET", contains: "/manifests/").count
            #expect(try await server.get("\(Self.name)/manifests/latest").body == old.manifest.bytes)
            #expect(upstream.requests("GET", contains: "/manifests/").count == gets)
        }
    }

    @Test(
        "upstream gone, limiting or failing: the stored tag is served, marked STALE",
        arguments: ["stopped", "429", "500", "403"])
    func stale(_ weather: String) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            for digest in image.blobs.map(\.digest) {
                _ = try await server.blob(digest)
                try await server.waitUntilStored(digest)
            }
            if let status = Int(weather) { upstream.scriptForever(.any, .status(status)) } else { upstream.stop() }
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.status == 200)
            #expect(response.body == image.manifest.bytes)
            #expect(response.header("x-amargo-cache") == "STALE")
            #expect(response.header("cache-control") == "public, max-age=0")
            #expect(response.header("warning")?.hasPrefix("299 - \"") == true)
            // No 304 for what nobody confirmed: a cache in front would take the tag for fresh.
            let conditional = try await server.get(
                "\(Self.name)/manifests/latest", headers: [("If-None-Match", "\"\(image.manifestDigest)\"")])
            #expect(conditional.status == 200)
            // Questions about the tag may still be on their way; by digest nobody is asked.
            let requests = upstream.requests(contains: "sha256:").count
            // By digest no upstream is needed ever again.
            #expect(try await server.get("\(Self.name)/manifests/\(image.manifestDigest)").header("x-amargo-cache") == "HIT")
            for blob in image.blobs { #expect(try await server.blob(blob.digest).body == blob.bytes) }
            #expect(upstream.requests(contains: "sha256:").count == requests)
        }
    }

    @Test("nobody waits more than two seconds for a stored tag to be confirmed; the question goes on")
    func slowRevalidation() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let gate = Gate()
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero, patience: .seconds(2))) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            upstream.script(.init(method: "HEAD"), .stallBeforeHead(gate))
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.header("x-amargo-cache") == "STALE")
            #expect(response.body == image.manifest.bytes)
            // Not because the upstream's own time was over, which is another sentence, but because two seconds were.
            #expect(response.header("warning") == "299 - \"the upstream is slow to confirm the tag\"")
            gate.open()
        }
    }

    @Test("a tag that its registry no longer has is a 404; its content stays by digest")
    func tagGone() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            upstream.removeTag("latest", in: "library/nginx")
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.status == 404)
            #expect(response.text.contains("MANIFEST_UNKNOWN"))
            #expect(try await server.get("\(Self.name)/manifests/\(image.manifestDigest)").status == 200)
        }
    }

    @Test("a tag that came in a bundle stays when its registry does not know it, and is the registry's when it does")
    func importedTag() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let other = upstream.addImage(repository: "library/nginx", tag: "known", seed: 2)
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
            let digest = try Digest(parsing: image.manifestDigest)
            let names = try ["brought", "known"].map { IncomingImage.Name(tag: try Tag(parsing: $0), digest: digest, at: 0) }
            try await onThread {
                try server.store.receive([.init(repository: repository, blobs: [], manifests: [], names: names, pins: [])])
            }
            for _ in 0..<2 {
                let response = try await server.get("\(Self.name)/manifests/brought")
                #expect(response.status == 200)
                #expect(response.header("x-amargo-cache") == "STALE")
                #expect(response.body == image.manifest.bytes)
            }
            #expect(try await server.get("\(Self.name)/manifests/known").body == other.manifest.bytes)
            let known = try Tag(parsing: "known")
            try await eventually("the registry's word is kept") {
                server.store.catalog.tag(known, in: repository)?.isImported == false
            }
        }
    }

    @Test("C3: containerd's way, HEAD of the absent tag and GET of the digest, fills the cache for the tag")
    func headThenDigest() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            let head = try await server.get("\(Self.name)/manifests/latest", method: "HEAD")
            #expect(head.status == 200)
            #expect(head.header("docker-content-digest") == image.manifestDigest)
            #expect(head.header("content-type") == image.mediaType)
            #expect(upstream.requests("GET").isEmpty, "a HEAD downloads nothing")
            _ = try await server.get("\(Self.name)/manifests/\(image.manifestDigest)")
            try await self.waitForTag(server)
            upstream.stop()
            let response = try await server.get("\(Self.name)/manifests/latest", method: "HEAD")
            #expect(response.header("x-amargo-cache") == "HIT")
            #expect(try await server.get("\(Self.name)/manifests/latest").body == image.manifest.bytes)
        }
    }

    @Test("32 clients on one absent tag cause one upstream GET")
    func singleFlight() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let gate = Gate()
        upstream.script(.manifest("latest"), .stallBeforeHead(gate))
        try await ServerHarness.run(upstream) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for _ in 0..<32 { clients.addTask { try await server.get("\(Self.name)/manifests/latest") } }
                try await gate.waitUntilReached()
                gate.open()
                for try await response in clients { #expect(response.body == image.manifest.bytes) }
            }
            #expect(upstream.requests("GET", contains: "/manifests/").count == 1)
        }
    }

    @Test("what was said of a tag long ago does not become fresh when its manifest is stored")
    func oldAnswer() async throws {
        let upstream = try ScriptedUpstream()
        let old = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .seconds(1))) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest", method: "HEAD")
            let new = upstream.addImage(repository: "library/nginx", tag: "latest", seed: 5)
            let start = ContinuousClock.now
            try await eventually("the answer's time is over") { start.duration(to: .now) > .milliseconds(1500) }
            _ = try await server.get("\(Self.name)/manifests/\(old.manifestDigest)")
            try await server.waitUntilStored(old.manifestDigest)
            #expect(try await server.get("\(Self.name)/manifests/latest").body == new.manifest.bytes)
        }
    }

    @Test("32 clients on a tag past its time cause one HEAD")
    func oneRevalidation() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let gate = Gate()
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero, patience: .seconds(2))) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            try await self.waitForTag(server)
            upstream.script(.init(method: "HEAD"), .stallBeforeHead(gate))
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for _ in 0..<32 { clients.addTask { try await server.get("\(Self.name)/manifests/latest") } }
                try await gate.waitUntilReached()
                // Whoever waits longer than two seconds is served the stored tag; the question is one all the same.
                for try await response in clients { #expect(response.body == image.manifest.bytes) }
            }
            gate.open()
            #expect(upstream.requests("HEAD").count == 1)
        }
    }

    @Test("the tags of signing tools are tags like any other", arguments: [".sig", ".att", ".sbom", ""])
    func signatureTags(_ suffix: String) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let tag = image.manifestDigest.replacingOccurrences(of: ":", with: "-") + suffix
        let signature = upstream.addImage(repository: "library/nginx", tag: tag, layerSizes: [300], seed: 8)
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            #expect(try await server.get("\(Self.name)/manifests/\(tag)").body == signature.manifest.bytes)
            for blob in signature.blobs { _ = try await server.blob(blob.digest) }
            for digest in [signature.manifestDigest] + signature.blobs.map(\.digest) { try await server.waitUntilStored(digest) }
            upstream.stop()
            let stale = try await server.get("\(Self.name)/manifests/\(tag)")
            #expect(stale.header("x-amargo-cache") == "STALE")
            #expect(stale.body == signature.manifest.bytes)
        }
    }

    @Test("after a restart tags and blobs are there, and no upstream is asked")
    func restart() async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.get("\(Self.name)/manifests/latest")
            for blob in image.blobs { _ = try await server.blob(blob.digest) }
            for blob in image.blobs { try await server.waitUntilStored(blob.digest) }
            try await self.waitForTag(server)
        }
        upstream.stop()
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.get("\(Self.name)/manifests/latest")
            #expect(response.header("x-amargo-cache") == "HIT")
            #expect(response.body == image.manifest.bytes)
            for blob in image.blobs {
                let response = try await server.blob(blob.digest)
                #expect(response.header("x-amargo-cache") == "HIT")
                #expect(response.body == blob.bytes)
            }
        }
    }
}
