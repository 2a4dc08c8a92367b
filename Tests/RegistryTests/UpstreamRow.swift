import Synchronization
import TestSupport
import Testing

/// A row of the table of what upstreams do: the weather, and what a client sees of it in each state of the store.
struct UpstreamRow: Sendable {
    /// What a client gets.
    enum Outcome: Sendable {
        /// Everything, with the digest that was asked for, as if nothing had happened.
        case whole
        /// What was stored, marked as `STALE`.
        case stale
        /// Never a complete body: an error document, or a body that is cut.
        case spoiled
        case error(Int, String)
    }

    let name: String
    var hasTokenService = false
    /// Whether the manifest is stored before the weather begins, so that the sizes of its blobs are known.
    var knowsManifest = false
    var options: @Sendable (inout ServerHarness.Options) -> Void = { _ in }
    /// With nothing stored: a blob of 1 MiB, and the tag.
    var blob: Outcome?
    var tag: Outcome?
    /// With everything stored and the tag past its time.
    var pastTag: Outcome?
    /// The upstream's requests for the blob, with nothing stored: whether each had a Range.
    var ranged: [Bool]?
    /// The upstream's requests for the tag, with nothing stored; also when the client asks twice.
    var tagRequests: Int?
    let weather: @Sendable (Scene) throws -> Void
}

/// Where a row is played.
final class Scene: Sendable {
    let upstream: ScriptedUpstream
    let image: FixtureImage
    private let others = Mutex<[ScriptedUpstream]>([])

    init(hasTokenService: Bool) throws {
        self.upstream = try ScriptedUpstream(tokenService: hasTokenService)
        self.image = self.upstream.addImage(repository: "library/nginx", layerSizes: [1024, 1 << 20])
    }

    /// The layer of 1 MiB.
    var layer: FixtureImage.Blob { self.image.layers[1] }

    /// Another host, which lives as long as the scene.
    func host() throws -> ScriptedUpstream {
        let host = try ScriptedUpstream()
        self.others.withLock { $0.append(host) }
        return host
    }

    /// For blobs and manifests alike, from now on.
    func always(_ behaviour: Behaviour) { self.upstream.scriptForever(.init(contains: "/v2/"), behaviour) }
}

/// A row in a state of the store.
struct UpstreamCase: Sendable, CustomTestStringConvertible {
    enum State: String, CaseIterable, Sendable {
        /// Nothing is stored.
        case cold
        /// Everything is stored, and the tag is fresh.
        case warm
        /// Everything is stored, and the tag is past its time.
        case stale
        /// Everything is stored, and nobody may be asked.
        case offline
    }

    let row: UpstreamRow
    let state: State

    var testDescription: String { "\(self.row.name) · \(self.state.rawValue)" }

    static func all(_ rows: [UpstreamRow]) -> [UpstreamCase] {
        rows.flatMap { row in
            State.allCases.compactMap { state in
                switch state {
                case .cold where row.blob == nil && row.tag == nil, .stale where row.pastTag == nil: nil
                default: UpstreamCase(row: row, state: state)
                }
            }
        }
    }

    // MARK: - Playing

    func play() async throws {
        let scene = try Scene(hasTokenService: self.row.hasTokenService)
        let folder = try TemporaryDirectory()
        var options = ServerHarness.Options(storePath: folder.path("store"))
        if self.state == .stale { options.cacheTtl = .zero }
        self.row.options(&options)
        if self.state == .cold { return try await self.playCold(scene, options) }
        // Filled in fair weather.
        var fair = options
        fair.tune = { _ in }
        try await ServerHarness.run(scene.upstream, fair) { try await $0.warm(scene.image) }
        options.isOffline = self.state == .offline
        try self.row.weather(scene)
        let before = scene.upstream.requests.count
        try await ServerHarness.run(scene.upstream, options) { server async throws in
            for blob in scene.image.blobs {
                try Self.expect(.whole, try await server.blob(blob.digest), blob, "HIT")
            }
            let manifest = "/v2/library/nginx/manifests/\(scene.image.manifestDigest)"
            try Self.expect(.whole, try await server.get(manifest), scene.image.manifest, "HIT")
            if self.state == .stale, let outcome = self.row.pastTag {
                #expect(scene.upstream.requests.count == before, "content by digest is nobody else's business")
                try Self.expect(outcome, try await server.get(scene.image.manifestPath), scene.image.manifest)
            } else {
                try Self.expect(.whole, try await server.get(scene.image.manifestPath), scene.image.manifest, "HIT")
                #expect(scene.upstream.requests.count == before, "nobody is asked for what is stored and fresh")
            }
            // The weather takes nothing away.
            try Self.expect(.whole, try await server.get(manifest), scene.image.manifest, "HIT")
        }
    }

    private func playCold(_ scene: Scene, _ options: ServerHarness.Options) async throws {
        try await ServerHarness.run(scene.upstream, options) { server async throws in
            if self.row.knowsManifest {
                _ = try await server.get(scene.image.manifestPath)
                try await server.waitUntilStored(scene.image.manifestDigest)
            }
            try self.row.weather(scene)
            let before = scene.upstream.requests.count
            if let outcome = self.row.blob {
                try Self.expect(outcome, try await server.blob(scene.layer.digest), scene.layer, "MISS")
                if case .whole = outcome {
                    try await server.waitUntilStored(scene.layer.digest)
                } else {
                    #expect(try !server.isStored(scene.layer.digest))
                }
                let asked = scene.upstream.requests.dropFirst(before).filter { $0.path.contains(scene.layer.digest) }
                if let ranged = self.row.ranged { #expect(asked.map { $0.header("range") != nil } == ranged) }
            }
            if let outcome = self.row.tag {
                let middle = scene.upstream.requests.count
                try Self.expect(outcome, try await server.get(scene.image.manifestPath), scene.image.manifest, "MISS")
                if let count = self.row.tagRequests {
                    _ = try await server.get(scene.image.manifestPath)
                    let asked = scene.upstream.requests.dropFirst(middle).filter { $0.path == scene.image.manifestPath }
                    #expect(asked.count == count)
                }
            }
            try await server.expectQuiet()
        }
    }

    /// The oracle: a complete 2xx body is the content of its digest, whatever else is expected.
    private static func expect(
        _ outcome: UpstreamRow.Outcome, _ response: RawResponse, _ content: FixtureImage.Blob, _ label: String? = nil
    ) throws {
        if (200..<300).contains(response.status), response.isComplete {
            #expect("sha256:\(sha256Hex(response.body))" == content.digest)
            #expect(response.header("docker-content-digest") == content.digest)
        }
        switch outcome {
        case .whole, .stale:
            #expect(response.status == 200, "\(response.text.prefix(300))")
            #expect(response.isComplete)
            #expect(response.body == content.bytes)
            if case .stale = outcome {
                #expect(response.header("x-amargo-cache") == "STALE")
                #expect(response.header("warning")?.hasPrefix("299 - ") == true)
            } else if let label {
                #expect(response.header("x-amargo-cache") == label)
            }
        case .spoiled:
            if response.status == 200 {
                #expect(!response.isComplete)
                #expect(response.body.count <= content.bytes.count - 65_536, "the tail must be withheld")
            } else {
                try Self.expect(.error(502, "UNAVAILABLE"), response, content)
            }
        case .error(let status, let code):
            #expect(response.status == status, "\(response.text.prefix(300))")
            #expect(response.text.hasPrefix(#"{"errors":[{"code":"\#(code)","#), "\(response.text.prefix(300))")
            #expect(response.header("content-type") == "application/json")
            #expect(response.header("www-authenticate") == nil)
        }
    }
}
