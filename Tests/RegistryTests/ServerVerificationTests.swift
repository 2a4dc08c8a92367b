import TestSupport
import Testing

/// No wrong byte is ever a complete answer.
@Suite struct ServerVerificationTests {
    static let sizes = [65_535, 65_536, 65_537, 1 << 20]

    /// How an upstream spoils a blob of a size.
    enum Fault: String, CaseIterable, Sendable {
        case first, second, middle, lastButOne, last

        func position(in size: Int) -> Int {
            switch self {
            case .first: 0
            case .second: 1
            case .middle: size / 2
            case .lastButOne: size - 2
            case .last: size - 1
            }
        }
    }

    @Test("a flipped bit is never in a complete body", arguments: Self.sizes, Fault.allCases)
    func flippedBit(_ size: Int, _ fault: Fault) async throws {
        try await self.expectNothingComplete(size, .corrupt(at: fault.position(in: size)))
        try await self.expectNothingComplete(size, .corrupt(at: fault.position(in: size)).and(.chunked()))
    }

    @Test("a short or a long body, framed as if it were right, is never complete", arguments: Self.sizes)
    func wrongLength(_ size: Int) async throws {
        try await self.expectNothingComplete(size, .editBody { $0.removeLast() })
        try await self.expectNothingComplete(size, .editBody { $0.append(0) })
        try await self.expectNothingComplete(size, Behaviour.editBody { $0.removeLast() }.and(.chunked()))
        try await self.expectNothingComplete(size, Behaviour.editBody { $0.append(0) }.and(.chunked()))
    }

    private func expectNothingComplete(_ size: Int, _ behaviour: Behaviour) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: size, seed: UInt64(size))
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.script(.blob(digest), behaviour)
        try await ServerHarness.run(upstream) { server async throws in
            let start = ContinuousClock.now
            let response = try await server.blob(digest)
            let isPatient = start.duration(to: .now) < .seconds(5)
            if response.status == 200 {
                #expect(!response.isComplete, "a wrong body ended as if it were right")
                #expect(response.body.count <= max(0, size + 1 - 65_536), "the tail must be withheld")
            } else {
                #expect(response.status == 502)
                #expect(response.text.contains("\"code\":\"UNAVAILABLE\""))
            }
            if size <= 65_535, isPatient { #expect(response.status == 502, "what fits the tail becomes a proper error") }
            #expect(try !server.isStored(digest))
            try await server.expectQuiet()
            // The next request fetches anew and gets what is right.
            let again = try await server.blob(digest)
            #expect(again.isComplete)
            #expect(again.body == bytes)
        }
    }

    @Test("a body cut by its upstream is resumed by Range; the client sees a pause", arguments: [1, 65_536, 3 << 20])
    func resumed(_ cut: Int) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 4 << 20, seed: 11)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.script(.blob(digest), .resetAfter(bytes: cut))
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.isComplete)
            #expect(response.body == bytes)
            let requests = upstream.requests("GET", contains: digest)
            #expect(requests.count == 2)
            // A reset may swallow what the kernel had not handed over yet; never is a byte asked for that was not the next.
            let range = try #require(requests.last?.header("range") ?? (cut <= 65_536 ? "bytes=0-" : nil))
            let start = try #require(Int(range.dropFirst("bytes=".count).dropLast()))
            #expect(start <= cut)
            #expect(upstream.bodyBytesSent(for: requests[1]) == bytes.count - start)
            try await server.waitUntilStored(digest)
        }
    }

    @Test("a body that always ends too early is cut, never completed, and not stored", arguments: [false, true])
    func truncated(_ isChunked: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1 << 20, seed: 12)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        // Every attempt gives the same few bytes and no more.
        upstream.scriptForever(
            .blob(digest), isChunked ? Behaviour.chunkedWithoutEnd.and(.ignoreRange) : .closeAfter(bytes: 1000))
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.status != 200 || !response.isComplete)
            #expect(try !server.isStored(digest))
            try await server.expectQuiet()
        }
    }

    @Test("a manifest whose bytes are not its digest is a 502 and not stored")
    func wrongManifest() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        upstream.script(.manifest(image.manifestDigest), .corrupt(at: 10))
        try await ServerHarness.run(upstream) { server async throws in
            let path = "/v2/library/nginx/manifests/\(image.manifestDigest)"
            let response = try await server.get(path)
            #expect(response.status == 502)
            #expect(try !server.isStored(image.manifestDigest))
            #expect(try await server.get(path).body == image.manifest.bytes)
        }
    }

    @Test("what is no manifest is a 502: HTML, another type, equal keys, schema 1")
    func notAManifest() async throws {
        let manifest = "application/vnd.oci.image.manifest.v1+json"
        let documents: [(String, String)] = [
            ("<html>log in</html>", "text/html"),
            ("<html>log in</html>", manifest),
            (#"{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}"#, manifest),
            (#"{"schemaVersion":1,"fsLayers":[]}"#, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
            (#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#, manifest),
        ]
        let upstream = try ScriptedUpstream()
        for (index, document) in documents.enumerated() {
            upstream.addManifest(Array(document.0.utf8), mediaType: document.1, in: "library/nginx", tag: "v\(index)")
        }
        try await ServerHarness.run(upstream) { server async throws in
            for index in documents.indices {
                let response = try await server.get("/v2/library/nginx/manifests/v\(index)")
                #expect(response.status == 502, "\(documents[index])")
                #expect(response.header("content-type") == "application/json")
            }
            #expect(server.store.catalog.total.blobs == 0)
        }
    }
}
