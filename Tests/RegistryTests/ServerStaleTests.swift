import OCI
import PullThrough
import TestSupport
import Testing

/// For which failures of an upstream a stored tag is served, and what becomes of it where it is not.
@Suite struct ServerStaleTests {
    struct Failure: Sendable, CustomTestStringConvertible {
        let kind: FailureClass
        /// Nil: nobody listens there.
        let behaviour: Behaviour?
        let status: Int
        let name: String

        var testDescription: String { "\(self.kind): \(self.name)" }
    }

    static let failures: [Failure] = [
        .init(kind: .network, behaviour: nil, status: 502, name: "connection refused"),
        .init(kind: .network, behaviour: .reset, status: 502, name: "reset"),
        .init(kind: .network, behaviour: .status(504), status: 504, name: "504"),
        .init(kind: .denied, behaviour: .status(401), status: 403, name: "401"),
        .init(kind: .denied, behaviour: .status(403), status: 403, name: "403"),
        .init(kind: .notFound, behaviour: .status(404), status: 404, name: "404"),
        .init(kind: .rateLimited, behaviour: .status(429), status: 429, name: "429"),
        .init(kind: .serverError, behaviour: .status(500), status: 502, name: "500"),
        .init(kind: .serverError, behaviour: .raw("hello\r\n\r\n", thenClose: true), status: 502, name: "not HTTP"),
    ]

    private static let tag = "/v2/library/nginx/manifests/latest"
    private static let list = "/v2/library/nginx/tags/list"

    /// A server that has an image and a list of tags, both of them no longer fresh.
    private static func run(
        _ policy: StalePolicy, _ failure: Failure, _ body: @Sendable (ServerHarness, FixtureImage) async throws -> Void
    ) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        var options = ServerHarness.Options(cacheTtl: .zero)
        options.stalePolicy = policy
        try await ServerHarness.run(upstream, options) { server async throws in
            try await server.warm(image)
            _ = try await server.get(Self.list)
            if let behaviour = failure.behaviour { upstream.scriptForever(.any, behaviour) } else { upstream.stop() }
            try await body(server, image)
        }
    }

    @Test("a class that is served: the tag and its list as they were", arguments: Self.failures)
    func served(_ failure: Failure) async throws {
        try await Self.run(StalePolicy(serving: [failure.kind]), failure) { server, image async throws in
            let tag = try await server.get(Self.tag)
            #expect(tag.status == 200)
            #expect(tag.header("x-amargo-cache") == "STALE")
            #expect(tag.body == image.manifest.bytes)
            let list = try await server.get(Self.list)
            #expect(list.header("x-amargo-cache") == "STALE")
            #expect(list.text.contains("latest"))
        }
    }

    @Test(
        "a class that is not served: the failure; unless it is a 404, the tag is there again with the weather",
        arguments: Self.failures)
    func withheld(_ failure: Failure) async throws {
        let others = StalePolicy(serving: Set(FailureClass.allCases).subtracting([failure.kind]))
        try await Self.run(others, failure) { server, image async throws in
            #expect(try await server.get(Self.tag).status == failure.status)
            #expect(try await server.get(Self.list).status == failure.status)
            // By digest it is content like any other, whatever becomes of its name.
            #expect(try await server.get("/v2/library/nginx/manifests/\(image.manifestDigest)").body == image.manifest.bytes)
            let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
            let entry = server.store.catalog.tag(try OCI.Tag(parsing: "latest"), in: repository)
            #expect((entry == nil) == (failure.kind == .notFound))
        }
    }

    @Test("by default all but 404 are served")
    func usual() {
        #expect(StalePolicy().served == [.network, .denied, .rateLimited, .serverError])
    }

    @Test("where a failing network is no reason, a slow one is none either: its answer is waited for")
    func slow() async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx")
        var options = ServerHarness.Options(cacheTtl: .zero, patience: .milliseconds(1))
        options.stalePolicy = StalePolicy(serving: [.denied])
        try await ServerHarness.run(upstream, options) { server async throws in
            try await server.warm(image)
            let gate = Gate()
            upstream.scriptForever(.head("latest"), .stallBeforeHead(gate))
            async let answer = server.get(Self.tag)
            try await gate.waitUntilReached()
            let other = Fixtures.imageIndex(manifests: [])
            upstream.addManifest(other, mediaType: "application/vnd.oci.image.index.v1+json", in: "library/nginx", tag: "latest")
            gate.open()
            #expect(try await answer.body == other)
        }
    }
}
