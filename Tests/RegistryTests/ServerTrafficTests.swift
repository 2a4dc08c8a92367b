import Logging
import OCI
import PullThrough
import Storage
import TestSupport
import Testing

/// What is counted of real requests, on the small-hit path and beside it.
struct ServerTrafficTests {
    private static func total(_ server: ServerHarness) -> TrafficCounts {
        server.cache.traffic.report(at: server.wallClock.read()).total(in: .all)
    }

    @Test("a cold pull and a warm one: misses, hits, pulls and bytes are those of the image")
    func pulls() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "v1")
        let blobBytes = Int64(image.blobs.reduce(0) { $0 + $1.bytes.count })
        let bytes = blobBytes + Int64(image.manifest.bytes.count)
        try await ServerHarness.run(upstream) { server async throws in
            try await server.warm(image)
            let cold = Self.total(server)
            #expect(cold[.pulls] == 1)
            #expect(cold[.misses] == Int64(1 + image.blobs.count))
            #expect(cold[.hits] == 0)
            #expect(cold[.bytesServed] == bytes)
            #expect(cold[.bytesFetched] == bytes)
            #expect(cold[.upstreamRequests] == Int64(1 + image.blobs.count))
            for _ in 0..<3 { #expect(try await server.get(image.manifestPath).status == 200) }
            #expect(try await server.get(image.manifestPath, method: "HEAD").status == 200)
            for blob in image.blobs { #expect(try await server.get(image.blobPath(blob.digest)).status == 200) }
            let warm = Self.total(server)
            // A HEAD is a hit, and no pull.
            #expect(warm[.pulls] == 4)
            #expect(warm[.hits] == Int64(4 + image.blobs.count))
            #expect(warm[.misses] == cold[.misses])
            #expect(warm[.bytesServed] == bytes + 3 * Int64(image.manifest.bytes.count) + blobBytes)
            #expect(warm[.bytesFetched] == bytes)
            #expect(server.cache.traffic.recentPulls.all.map(\.outcome) == [.hit, .hit, .hit, .miss])
            let digest = try Digest(parsing: image.manifestDigest)
            try await eventually("pulls of the manifest") { server.store.catalog.content(digest)?.pulls == 4 }
            // The journal is told when the statistics are written, once a minute: a kill takes no more of the one than of the other.
            let now = server.wallClock
            await TrafficKeeper(
                server.cache.traffic, store: server.store, logger: Logger(label: "test"), now: { now.read() }
            ).finish()
            let reader = try StoreReader(folder: server.store.configuration.path.string)
            #expect(reader.catalog.content(digest)?.pulls == 4)
        }
    }

    @Test("what is nowhere is counted, and takes no place of its own")
    func absent() async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for number in 0..<5 { #expect(try await server.get("/v2/library/none\(number)/manifests/v1").status == 404) }
            let report = server.cache.traffic.report(at: server.wallClock.read())
            #expect(report.total(in: .all)[.absent] == 5)
            #expect(report.repositories(in: .all).map(\.name) == ["docker (others)"])
        }
    }

    @Test("64 clients on one absent blob: one miss, 63 collapsed, one question")
    func collapsed() async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 5)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let gate = Gate()
        upstream.script(.blob(digest), .holdAfter(bytes: 1 << 16, gate))
        try await ServerHarness.run(upstream) { server async throws in
            try await withThrowingTaskGroup(of: RawResponse.self) { clients in
                for _ in 0..<64 { clients.addTask { try await server.blob(digest) } }
                try await gate.waitUntilReached()
                try await eventually("all have joined") { server.cache.downloads.progress.first?.followers == 64 }
                let progress = try #require(server.cache.downloads.progress.first)
                #expect(progress.size == 1 << 20)
                #expect(progress.digest.description == digest)
                gate.open()
                for try await response in clients { #expect(response.body == bytes) }
            }
            let total = Self.total(server)
            #expect(total[.misses] == 1)
            #expect(total[.collapsed] == 63)
            #expect(total[.upstreamRequests] == 1)
            #expect(total[.bytesFetched] == 1 << 20)
            #expect(total[.bytesServed] == 64 << 20)
        }
    }

    @Test("a failing registry is counted as failed, a stale tag as stale")
    func failures() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "v1")
        try await ServerHarness.run(upstream, .init(cacheTtl: .zero)) { server async throws in
            try await server.warm(image)
            upstream.scriptForever(.manifest(), .status(500))
            upstream.scriptForever(.head("v1"), .status(500))
            #expect(try await server.get(image.manifestPath).header("x-amargo-cache") == "STALE")
            #expect(try await server.get("/v2/library/other/manifests/v1").status == 502)
            let total = Self.total(server)
            #expect(total[.stale] == 1)
            #expect(total[.failed] == 1)
        }
    }
}
