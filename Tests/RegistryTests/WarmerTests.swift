import Foundation
import OCI
import PullThrough
import Storage
import Synchronization
import TestSupport
import Testing

/// Bringing images ahead of whoever pulls them.
@Suite struct WarmerTests {
    /// What a run said and how it ended.
    private struct Outcome: Sendable {
        let summary: WarmSummary
        let events: [WarmEvent]

        var images: [WarmedImage] {
            self.events.compactMap { event in
                guard case .ended(let image) = event else { return nil }
                return image
            }
        }

        var image: WarmedImage? { self.images.first }

        var notes: [String] {
            self.events.compactMap { event in
                guard case .note(_, let text) = event else { return nil }
                return text
            }
        }

        var progress: [WarmProgress] {
            self.events.compactMap { event in
                guard case .progress(let progress) = event else { return nil }
                return progress
            }
        }
    }

    private static let amd64 = PlatformSelection([Platform(os: "linux", architecture: "amd64")])

    private static func warm(
        _ server: ServerHarness, _ names: [String], _ platforms: PlatformSelection = Self.amd64, referrers: Bool = false,
        jobs: Int = 4, patience: Duration = .zero, isStopped: @escaping @Sendable () -> Bool = { false }
    ) async -> Outcome {
        let events = Mutex<[WarmEvent]>([])
        let request = WarmRequest(images: names, platforms: platforms, withReferrers: referrers, jobs: jobs)
        let summary = await ImageWarmer(server.cache, interval: .milliseconds(5), patience: patience)
            .run(request, isStopped: isStopped) { event in events.withLock { $0.append(event) } }
        return Outcome(summary: summary, events: events.withLock { $0 })
    }

    private static func index(_ upstream: ScriptedUpstream) -> (
        amd64: FixtureImage, arm64: FixtureImage, index: FixtureImage.Blob
    ) {
        let amd64 = upstream.addImage(repository: "library/nginx", tag: nil, seed: 1)
        let arm64 = upstream.addImage(repository: "library/nginx", tag: nil, seed: 2, platform: "linux/arm64")
        let index = upstream.addIndex(
            repository: "library/nginx", tag: "latest", images: [(amd64, "linux/amd64"), (arm64, "linux/arm64")])
        return (amd64, arm64, index)
    }

    @Test("sizes that nothing has do no harm")
    func overflow() async throws {
        let upstream = try ScriptedUpstream()
        let config = Fixtures.imageConfig(layers: [], platform: "linux/amd64", note: "")
        let digests = ["a", "b", "c"].map { "sha256:\(String(repeating: $0, count: 64))" }
        let manifest = Fixtures.imageManifest(
            config: .init(
                mediaType: ManifestFlavour.oci.configType, digest: upstream.addBlob(config, in: "library/nginx"),
                size: config.count),
            layers: digests.map { .init(mediaType: ManifestFlavour.oci.layerType, digest: $0, size: .max) })
        upstream.addManifest(manifest, mediaType: ManifestFlavour.oci.manifestType, in: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            let outcome = await Self.warm(server, ["docker.io/library/nginx:latest"])
            #expect(outcome.summary.failed == 1)
        }
    }

    @Test("an image of one platform comes whole, and the second time nothing is asked for at all")
    func twice() async throws {
        let upstream = try ScriptedUpstream()
        let (amd64, arm64, index) = Self.index(upstream)
        try await ServerHarness.run(upstream) { server async throws in
            let first = await Self.warm(server, ["docker.io/library/nginx:latest", "docker.io/library/nginx:latest"])
            #expect(first.summary.complete == 1)
            #expect(first.image?.digest?.description == index.digest)
            #expect(first.image?.platforms == ["linux/amd64"])
            #expect(first.image?.blobs == amd64.blobs.count)
            #expect(first.image?.fetchedBlobs == amd64.blobs.count)
            #expect(
                first.image?.fetchedBytes
                    == Int64(amd64.blobs.reduce(amd64.manifest.bytes.count + index.bytes.count) { $0 + $1.bytes.count }))
            for digest in [index.digest, amd64.manifestDigest] + amd64.blobs.map(\.digest) {
                #expect(try server.isStored(digest))
            }
            #expect(try !server.isStored(arm64.manifestDigest))
            let before = upstream.requests.count
            let second = await Self.warm(server, ["docker.io/library/nginx:latest"])
            #expect(upstream.requests.count == before)
            #expect(second.summary.unchanged == 1)
            #expect(second.image?.isUnchanged == true)
            // Nobody has to be asked for a pull either.
            upstream.stop()
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == index.bytes)
            for blob in amd64.blobs { #expect(try await server.blob(blob.digest).body == blob.bytes) }
        }
    }

    @Test("further platforms add to what is there; one that the image does not have is a failure, and the others come")
    func platforms() async throws {
        let upstream = try ScriptedUpstream()
        let (amd64, arm64, _) = Self.index(upstream)
        let name = "docker.io/library/nginx:latest"
        try await ServerHarness.run(upstream) { server async throws in
            let some = await Self.warm(
                server, [name],
                PlatformSelection([Platform(os: "linux", architecture: "s390x"), .init(os: "linux", architecture: "amd64")]))
            #expect(some.summary.failed == 1)
            #expect(
                some.image?.failure?.description.contains("no image for linux/s390x; there is one for linux/amd64, linux/arm64")
                    == true)
            #expect(try server.isStored(amd64.layers[1].digest))
            #expect(try !server.isStored(arm64.manifestDigest))
            let before = upstream.requests(matching: .blob()).count
            let all = await Self.warm(server, [name], .all)
            #expect(all.summary.complete == 1)
            #expect(all.image?.platforms == ["linux/amd64", "linux/arm64"])
            #expect(upstream.requests(matching: .blob()).count == before + arm64.blobs.count)
            for blob in arm64.blobs { #expect(try server.isStored(blob.digest)) }
        }
    }

    @Test("what two images share is fetched once, and progress adds up to all of it")
    func shared() async throws {
        let upstream = try ScriptedUpstream()
        let one = upstream.addImage(repository: "library/one", layerSizes: [200_000, 300_000])
        _ = upstream.addImage(repository: "library/two", layerSizes: [200_000, 300_000])
        let three = upstream.addImage(repository: "library/three", layerSizes: [70_000], seed: 5)
        upstream.scriptForever(.blob(three.layers[0].digest), .throttle(bytesPerSecond: 700_000))
        try await ServerHarness.run(upstream) { server async throws in
            let outcome = await Self.warm(
                server, ["docker.io/library/one:latest", "docker.io/library/two:latest", "docker.io/library/three:latest"],
                jobs: 2)
            #expect(outcome.summary.complete == 3)
            for blob in one.blobs { #expect(upstream.requests(matching: .blob(blob.digest)).count == 1) }
            let last = try #require(outcome.progress.last)
            #expect(last.images == 3)
            #expect(outcome.progress.allSatisfy { $0.received <= $0.wanted && $0.layers.count <= 2 })
            #expect(outcome.progress.contains { $0.layers.contains { $0.digest.description == three.layers[0].digest } })
            #expect(outcome.summary.fetchedBlobs == one.blobs.count + three.blobs.count)
        }
    }

    @Test("by digest, and a tag that has moved")
    func moved() async throws {
        let upstream = try ScriptedUpstream()
        let old = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            let name = "docker.io/library/nginx:latest"
            #expect(await Self.warm(server, [name]).image?.digest?.description == old.manifestDigest)
            let new = upstream.addImage(repository: "library/nginx", tag: "latest", seed: 9)
            #expect(await Self.warm(server, [name]).image?.digest?.description == new.manifestDigest)
            let tag = server.store.catalog.tag(
                try OCI.Tag(parsing: "latest"), in: try QualifiedRepository(parsing: "docker.io/library/nginx"))
            #expect(tag?.digest.description == new.manifestDigest)
            let before = upstream.requests.count
            #expect(await Self.warm(server, ["docker.io/library/nginx@\(old.manifestDigest)"]).summary.unchanged == 1)
            #expect(upstream.requests.count == before)
            // Its time is over again, and one question says that it is as it was.
            #expect(await Self.warm(server, [name]).summary.unchanged == 1)
            #expect(upstream.requests.count == before + 1)
        }
    }

    @Test("a foreign layer is named and not asked for")
    func foreign() async throws {
        let upstream = try ScriptedUpstream()
        let config = upstream.addBlob(Array(#"{"os":"windows","architecture":"amd64"}"#.utf8), in: "library/win")
        let foreign = "sha256:\(String(repeating: "b", count: 64))"
        let manifest = Fixtures.imageManifest(
            config: .init(mediaType: ManifestFlavour.docker.configType, digest: config, size: 39),
            layers: [.init(mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", digest: foreign, size: 9)],
            flavour: .docker)
        upstream.addManifest(manifest, mediaType: ManifestFlavour.docker.manifestType, in: "library/win", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            let outcome = await Self.warm(server, ["docker.io/library/win:latest"])
            #expect(outcome.summary.complete == 1)
            #expect(outcome.notes.contains { $0.contains(foreign) && $0.contains("foreign") })
            #expect(outcome.notes.contains("it is an image for windows/amd64 alone"))
            #expect(outcome.image?.platforms == ["windows/amd64"])
            #expect(upstream.requests(contains: foreign).isEmpty)
        }
    }

    // MARK: - Referrers

    /// A manifest that refers to another, with one blob.
    private static func referrer(_ upstream: ScriptedUpstream, of subject: String, in name: String, _ text: String) -> (
        digest: String, size: Int, blob: String
    ) {
        let blob = upstream.addBlob(Array(text.utf8), in: name)
        let empty = upstream.addBlob(Array("{}".utf8), in: name)
        let bytes = Array(
            """
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example+json",\
            "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"\(empty)","size":2},\
            "layers":[{"mediaType":"text/plain","digest":"\(blob)","size":\(text.utf8.count)}],\
            "subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"\(subject)","size":1}}
            """.utf8)
        let digest = upstream.addManifest(bytes, mediaType: "application/vnd.oci.image.manifest.v1+json", in: name)
        return (digest, bytes.count, blob)
    }

    private static func list(_ referrers: [(digest: String, size: Int, blob: String)]) -> [UInt8] {
        let list = referrers.map {
            "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"\($0.digest)\",\"size\":\($0.size)}"
        }
        return Array(
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[\(list.joined(separator: ","))]}"
                .utf8)
    }

    @Test("referrers come by the API, those of referrers too, and cosign's tags; without the flag none does")
    func referrers() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let bill = Self.referrer(upstream, of: image.manifestDigest, in: "library/nginx", "a bill of materials")
        let signature = Self.referrer(upstream, of: bill.digest, in: "library/nginx", "a signature of it")
        let base = "/v2/library/nginx/referrers"
        upstream.addFile(
            Self.list([bill]), at: "\(base)/\(image.manifestDigest)", mediaType: "application/vnd.oci.image.index.v1+json")
        upstream.addFile(
            Self.list([signature]), at: "\(base)/\(bill.digest)", mediaType: "application/vnd.oci.image.index.v1+json")
        upstream.addFile(Self.list([]), at: "\(base)/\(signature.digest)", mediaType: "application/vnd.oci.image.index.v1+json")
        let hex = image.manifestDigest.dropFirst("sha256:".count)
        let cosign = upstream.addImage(repository: "library/nginx", tag: "sha256-\(hex).sig", layerSizes: [100], seed: 7)
        let name = "docker.io/library/nginx:latest"
        try await ServerHarness.run(upstream) { server async throws in
            #expect(await Self.warm(server, [name]).image?.referrers == 0)
            #expect(try !server.isStored(bill.digest))
            let outcome = await Self.warm(server, [name], referrers: true)
            #expect(outcome.summary.complete == 1, "\(String(describing: outcome.image?.failure))")
            #expect(outcome.image?.referrers == 3)
            for digest in [bill.digest, bill.blob, signature.digest, signature.blob, cosign.manifestDigest]
                + cosign.blobs.map(\.digest)
            {
                #expect(try server.isStored(digest))
            }
            upstream.stop()
            let referrers = try await server.get("\(base)/\(image.manifestDigest)")
            #expect(referrers.text.contains(bill.digest))
            #expect(try await server.get("/v2/library/nginx/manifests/sha256-\(hex).sig").body == cosign.manifest.bytes)
        }
    }

    @Test("where a registry has no referrers API, the fallback tag says what refers to an image")
    func fallback() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let bill = Self.referrer(upstream, of: image.manifestDigest, in: "library/nginx", "a bill of materials")
        let hex = image.manifestDigest.dropFirst("sha256:".count)
        let index = Self.list([bill])
        upstream.addManifest(
            index, mediaType: "application/vnd.oci.image.index.v1+json", in: "library/nginx", tag: "sha256-\(hex)")
        try await ServerHarness.run(upstream) { server async throws in
            let outcome = await Self.warm(server, ["docker.io/library/nginx:latest"], referrers: true)
            #expect(outcome.summary.complete == 1, "\(String(describing: outcome.image?.failure))")
            #expect(try server.isStored(bill.blob))
            upstream.stop()
            #expect(try await server.get("/v2/library/nginx/manifests/sha256-\(hex)").body == index)
            #expect(try await server.get("/v2/library/nginx/referrers/\(image.manifestDigest)").text.contains(bill.digest))
        }
    }

    @Test("attestations in an index come with the images that they are about, when referrers are wanted")
    func attestations() async throws {
        let upstream = try ScriptedUpstream()
        let amd64 = upstream.addImage(repository: "library/nginx", tag: nil, seed: 1)
        let arm64 = upstream.addImage(repository: "library/nginx", tag: nil, seed: 2)
        let about = [amd64, arm64].map { image in
            (
                image,
                upstream.addImage(
                    repository: "library/nginx", tag: nil, layerSizes: [300], seed: 10 + UInt64(image.layers[0].bytes[0]))
            )
        }
        var list: [String] = []
        for (image, platform) in [(amd64, "amd64"), (arm64, "arm64")] {
            list.append(
                "{\"mediaType\":\"\(image.mediaType)\",\"digest\":\"\(image.manifestDigest)\",\"size\":\(image.manifest.bytes.count),"
                    + "\"platform\":{\"os\":\"linux\",\"architecture\":\"\(platform)\"}}")
        }
        for (image, attestation) in about {
            list.append(
                "{\"mediaType\":\"\(attestation.mediaType)\",\"digest\":\"\(attestation.manifestDigest)\","
                    + "\"size\":\(attestation.manifest.bytes.count),\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},"
                    + "\"annotations\":{\"vnd.docker.reference.digest\":\"\(image.manifestDigest)\","
                    + "\"vnd.docker.reference.type\":\"attestation-manifest\"}}")
        }
        let index = Array(
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[\(list.joined(separator: ","))]}"
                .utf8)
        upstream.addManifest(index, mediaType: "application/vnd.oci.image.index.v1+json", in: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            let name = "docker.io/library/nginx:latest"
            #expect(await Self.warm(server, [name]).summary.complete == 1)
            #expect(try about.allSatisfy { try !server.isStored($0.1.manifestDigest) })
            #expect(await Self.warm(server, [name], referrers: true).summary.complete == 1)
            #expect(try server.isStored(about[0].1.layers[0].digest))
            #expect(try !server.isStored(about[1].1.manifestDigest))
        }
    }

    // MARK: - Failures

    @Test("one image that fails does not keep the others from coming, and says why and what to do")
    func failures() async throws {
        let upstream = try ScriptedUpstream()
        let good = upstream.addImage(repository: "library/good")
        let broken = upstream.addImage(repository: "library/broken", seed: 2)
        upstream.remove(broken.layers[0].digest, in: "library/broken")
        _ = upstream.addImage(repository: "org/secret", seed: 3)
        upstream.scriptForever(.init(contains: "/org/secret/"), .status(401))
        try await ServerHarness.run(upstream) { server async throws in
            let outcome = await Self.warm(
                server,
                [
                    "docker.io/library/good:latest", "docker.io/library/broken:latest", "docker.io/library/good:nowhere",
                    "docker.io/org/secret:latest", "quay.io/a/b:v1",
                ])
            #expect(outcome.summary.complete == 1)
            #expect(outcome.summary.failed == 4)
            for blob in good.blobs { #expect(try server.isStored(blob.digest)) }
            // What there is of the broken one is there for the next time.
            #expect(try server.isStored(broken.layers[1].digest))
            let failures = Dictionary(uniqueKeysWithValues: outcome.images.map { ($0.name, $0.failure?.description ?? "") })
            #expect(failures["docker.io/library/broken:latest"]?.contains(broken.layers[0].digest) == true)
            #expect(failures["docker.io/library/good:nowhere"]?.contains("has no library/good/manifests/nowhere") == true)
            #expect(failures["docker.io/org/secret:latest"]?.contains("repositories.docker.credentials") == true)
            #expect(failures["quay.io/a/b:v1"]?.contains("repositories.NAME.namespaces: [quay.io]") == true)
        }
    }

    @Test("a registry that limits us is waited for when it says that it will not be long, and named with the time when it will")
    func limited() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        let name = "docker.io/library/nginx:latest"
        try await ServerHarness.run(upstream) { server async throws in
            upstream.script(.manifest("latest"), .status(429, headers: [("Retry-After", "1")]))
            let long = await Self.warm(server, [name])
            #expect(long.summary.failed == 1)
            let retryAt = try #require(long.image?.failure?.retryAt)
            #expect((1...3).contains(retryAt - server.wallClock.read()))
            let short = await Self.warm(server, [name], patience: .seconds(60))
            #expect(short.summary.complete == 1, "\(String(describing: short.image?.failure))")
            #expect(try server.isStored(image.layers[1].digest))
        }
    }

    @Test("what does not fit under the cap is a failure that names it, and what fits is kept")
    func cap() async throws {
        let upstream = try ScriptedUpstream()
        let small = upstream.addImage(repository: "library/small", layerSizes: [4_000_000])
        _ = upstream.addImage(repository: "library/large", layerSizes: [7_000_000, 7_000_000], seed: 2)
        _ = upstream.addImage(repository: "library/later", layerSizes: [5_000_000], seed: 3)
        var options = ServerHarness.Options()
        options.maxSize = 12_000_000
        try await ServerHarness.run(upstream, options) { server async throws in
            let outcome = await Self.warm(
                server, ["docker.io/library/small:latest", "docker.io/library/large:latest", "docker.io/library/later:latest"],
                jobs: 1)
            let failures = Dictionary(uniqueKeysWithValues: outcome.images.map { ($0.name, $0.failure?.description) })
            #expect(failures["docker.io/library/small:latest"] == .some(nil))
            #expect(
                failures["docker.io/library/large:latest"]??.contains("store.maxSize (12000000 bytes)") == true, "\(failures)")
            // Nothing that was brought had to go for what did not fit.
            for digest in [small.manifestDigest] + small.blobs.map(\.digest) { #expect(try server.isStored(digest)) }
        }
    }

    @Test("what the upstream cannot confirm is a failure that says so; what is stored stays")
    func unreachable() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            #expect(await Self.warm(server, ["docker.io/library/nginx:latest"]).summary.complete == 1)
            upstream.stop()
            let outcome = await Self.warm(server, ["docker.io/library/nginx:latest"])
            #expect(outcome.summary.failed == 1)
            #expect(
                outcome.image?.failure?.description.contains("may be older") == true,
                "\(String(describing: outcome.image?.failure))")
            #expect(try server.isStored(image.layers[1].digest))
            // By digest there is nothing to confirm.
            #expect(await Self.warm(server, ["docker.io/library/nginx@\(image.manifestDigest)"]).summary.unchanged == 1)
        }
    }

    @Test("what the disk has lost is fetched again", arguments: ["manifest", "layer"])
    func lost(_ what: String) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        try await ServerHarness.run(upstream) { server async throws in
            #expect(await Self.warm(server, ["docker.io/library/nginx:latest"]).summary.complete == 1)
            let digest = try Digest(parsing: what == "manifest" ? image.manifestDigest : image.layers[1].digest)
            try FileManager.default.removeItem(atPath: "\(server.storePath)/blobs/sha256/\(digest.hex.prefix(2))/\(digest.hex)")
            let again = await Self.warm(server, ["docker.io/library/nginx:latest"])
            #expect(again.summary.complete == 1, "\(String(describing: again.image?.failure))")
            #expect(again.summary.unchanged == 0)
            try await server.waitUntilStored(digest.description)
            #expect(
                FileManager.default.fileExists(atPath: "\(server.storePath)/blobs/sha256/\(digest.hex.prefix(2))/\(digest.hex)"))
        }
    }

    @Test("at a registry with credentials another repository's content is asked for, and not fetched again")
    func confirmed() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "team/a")
        _ = upstream.addImage(repository: "team/b")
        var options = ServerHarness.Options()
        options.isPrivate = true
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(await Self.warm(server, ["docker.io/team/a:latest"]).summary.complete == 1)
            let second = await Self.warm(server, ["docker.io/team/b:latest"])
            #expect(second.summary.complete == 1, "\(String(describing: second.image?.failure))")
            #expect(second.image?.fetchedBlobs == 0)
            for blob in image.blobs {
                #expect(upstream.requests(matching: .blob(blob.digest)).count == 1)
                #expect(upstream.requests("HEAD", contains: "/team/b/blobs/", suffix: blob.digest).count == 1)
            }
            // What B lost, B is not given because A has it.
            upstream.stop()
            for blob in image.blobs { #expect(try await server.get("/v2/team/b/blobs/\(blob.digest)").body == blob.bytes) }
        }
    }

    // MARK: - Ends

    @Test(
        "ended by its caller or by whoever wants the store, it gives up what nobody else follows, and keeps the part",
        arguments: [true, false])
    func ended(_ byFlag: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", layerSizes: [24 << 20])
        let gate = Gate()
        upstream.script(.blob(image.layers[0].digest), .holdAfter(bytes: 20 << 20, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let flag = StopFlag()
            let run = Task {
                await Self.warm(server, ["docker.io/library/nginx:latest"], isStopped: { flag.isRaised })
            }
            try await gate.waitUntilReached()
            if byFlag { flag.raise() } else { run.cancel() }
            let outcome = await run.value
            #expect(outcome.summary.interrupted == 1)
            #expect(outcome.summary.failed == 0)
            try await eventually("the download has ended") { server.cache.downloads.count == 0 }
            gate.open()
            let again = await Self.warm(server, ["docker.io/library/nginx:latest"])
            #expect(again.summary.complete == 1)
            #expect(upstream.requests(matching: RequestMatcher.blob(image.layers[0].digest).ranged).count == 1)
        }
    }

    @Test("what a client follows as well goes on when a run ends")
    func followed() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", layerSizes: [1 << 20])
        let gate = Gate()
        upstream.script(.blob(image.layers[0].digest), .holdAfter(bytes: 512 << 10, gate))
        try await ServerHarness.run(upstream) { server async throws in
            let run = Task { await Self.warm(server, ["docker.io/library/nginx:latest"]) }
            try await gate.waitUntilReached()
            let connection = try await RawConnection.connect(server.port)
            try await connection.send("GET \(image.blobPath(image.layers[0].digest)) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            _ = try await connection.readHead()
            run.cancel()
            #expect(await run.value.summary.interrupted == 1)
            gate.open()
            #expect(try await connection.readToEnd().bytes == image.layers[0].bytes)
            connection.close()
            #expect(upstream.requests(matching: .blob(image.layers[0].digest)).count == 1)
        }
    }
}
