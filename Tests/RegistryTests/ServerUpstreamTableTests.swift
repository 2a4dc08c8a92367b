import TestSupport
import Testing
import Upstream

/// Every row of the table of what upstreams do (U1 to U38), in each state of the store. Not here: TLS (U32), which needs certificates.
///
/// One after the other: a hundred servers at once take longer for an answer than a client waits.
@Suite struct ServerUpstreamTableTests {
    @Test("a body that does not come as it should", .serialized, arguments: UpstreamCase.all(Self.bodies))
    func body(_ row: UpstreamCase) async throws { try await row.play() }

    @Test("a registry that does not let us in", .serialized, arguments: UpstreamCase.all(Self.tokens))
    func token(_ row: UpstreamCase) async throws { try await row.play() }

    @Test("an answer that is another one than asked for", .serialized, arguments: UpstreamCase.all(Self.answers))
    func answer(_ row: UpstreamCase) async throws { try await row.play() }

    @Test("a connection that is none", .serialized, arguments: UpstreamCase.all(Self.connections))
    func connection(_ row: UpstreamCase) async throws { try await row.play() }

    private static let half = 512 << 10
    private static let unavailable = UpstreamRow.Outcome.error(502, "UNAVAILABLE")
    private static let timeout = UpstreamRow.Outcome.error(504, "UNAVAILABLE")
    private static let denied = UpstreamRow.Outcome.error(403, "DENIED")

    private static let impatient: @Sendable (inout ServerHarness.Options) -> Void = { options in
        options.tune = { configuration in
            configuration.headTimeout = .milliseconds(400)
            configuration.budget = .milliseconds(1200)
            configuration.stallTimeout = .milliseconds(400)
        }
    }

    // MARK: - Bodies

    static let bodies: [UpstreamRow] = [
        UpstreamRow(
            name: "U1 sends less than 1 KiB/s", options: { $0.caution.bodyWindow = .milliseconds(300) }, blob: .whole,
            ranged: [false, true]
        ) { $0.upstream.script(.blob($0.layer.digest), .throttle(bytesPerSecond: 100_000)) },
        UpstreamRow(
            name: "U2 stalls before headers", options: Self.impatient, blob: Self.timeout, tag: Self.timeout, pastTag: .stale
        ) { $0.always(.stallBeforeHead(Gate())) },
        UpstreamRow(name: "U3 stalls in the body", options: Self.impatient, blob: .whole, ranged: [false, true]) {
            $0.upstream.script(.blob($0.layer.digest), .holdAfter(bytes: Self.half, Gate()))
        },
        UpstreamRow(
            name: "U4 closes cleanly before Content-Length", blob: .whole, tag: .whole, pastTag: .stale, ranged: [false, true]
        ) {
            $0.upstream.script(.blob($0.layer.digest), .closeAfter(bytes: Self.half))
            $0.upstream.script(.manifest("latest"), .closeAfter(bytes: 10))
            $0.upstream.scriptForever(.head("latest"), .closeImmediately)
        },
        // What is beyond the length is never read: the client library hands over the body, drops the rest and the connection.
        UpstreamRow(name: "U5 sends more than Content-Length", blob: .whole, tag: .whole, ranged: [false]) {
            $0.always(.extraBytes(64))
        },
        UpstreamRow(
            name: "U6 Content-Length differs from the descriptor", knowsManifest: true, blob: Self.unavailable, ranged: [false]
        ) {
            $0.upstream.scriptForever(.blob(), .editBody { $0.append(0) })
        },
        UpstreamRow(name: "U7 resets in the body", blob: .whole, ranged: [false, true]) {
            $0.upstream.script(.blob($0.layer.digest), .resetAfter(bytes: Self.half))
        },
        UpstreamRow(name: "U7 resets in the body, and then fails for good", blob: .spoiled) {
            $0.upstream.script(.blob($0.layer.digest), .resetAfter(bytes: Self.half))
            $0.upstream.scriptForever(.blob($0.layer.digest), .resetAfter(bytes: 0))
        },
        UpstreamRow(name: "U8 answers a resume with 200", blob: .whole, ranged: [false, true, false]) {
            $0.upstream.script(.blob($0.layer.digest), .resetAfter(bytes: Self.half))
            $0.upstream.scriptForever(.blob($0.layer.digest), .ignoreRange)
        },
        UpstreamRow(name: "U8 answers a resume with 200 and other content", blob: .spoiled) {
            $0.upstream.script(.blob($0.layer.digest), .resetAfter(bytes: Self.half))
            $0.upstream.scriptForever(.blob($0.layer.digest), Behaviour.ignoreRange.and(.corrupt(at: 7)))
        },
        UpstreamRow(name: "U8 answers a resume with another Content-Range", blob: .whole, ranged: [false, true, false]) {
            $0.upstream.script(
                .blob($0.layer.digest), .resetAfter(bytes: Self.half), .replaceHeader("Content-Range", "bytes 0-524287/1048576"))
        },
        UpstreamRow(name: "U8 answers a resume with another total", blob: .spoiled) {
            $0.upstream.script(.blob($0.layer.digest), .resetAfter(bytes: Self.half))
            $0.upstream.scriptForever(
                .blob($0.layer.digest), .replaceHeader("Content-Range", "bytes \(Self.half)-1048575/1048577"))
        },
        UpstreamRow(name: "U9 right length, wrong digest", blob: .spoiled, tag: .whole, ranged: [false]) {
            $0.upstream.scriptForever(.blob($0.layer.digest), .corrupt(at: 100))
        },
        UpstreamRow(name: "U10 no Content-Length, chunked", blob: .whole, tag: .whole, pastTag: .whole, ranged: [false]) {
            $0.always(.chunked())
        },
        UpstreamRow(name: "U10 neither length nor chunks", blob: .whole, tag: .whole, ranged: [false]) { $0.always(.unframed) },
        UpstreamRow(name: "U11 no last chunk", blob: .spoiled, tag: Self.unavailable) {
            $0.always(Behaviour.chunkedWithoutEnd.and(.ignoreRange))
        },
        UpstreamRow(name: "U11 bad framing", blob: .spoiled, tag: Self.unavailable, pastTag: .stale) {
            $0.always(
                .raw(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
                    thenClose: true))
        },
        UpstreamRow(name: "U12 Content-Encoding, and the raw bytes are right", blob: .whole, tag: .whole, pastTag: .whole) {
            $0.always(.header("Content-Encoding", "gzip"))
        },
        UpstreamRow(name: "U12 Content-Encoding, and the raw bytes are others", blob: .spoiled, tag: Self.unavailable) {
            $0.always(Behaviour.header("Content-Encoding", "gzip").and(.editBody { $0 = Array($0.reversed()) }))
        },
        UpstreamRow(name: "U13 200 with HTML", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(.status(200, headers: [("Content-Type", "text/html")], body: Array("<html>log in</html>".utf8)))
        },
    ]

    // MARK: - Tokens

    private static func challenge(_ text: String?) -> Behaviour {
        .status(401, headers: text.map { [("WWW-Authenticate", $0)] } ?? [])
    }

    static let tokens: [UpstreamRow] = [
        UpstreamRow(name: "U14 401 with a good challenge", hasTokenService: true, blob: .whole, tag: .whole, pastTag: .whole) {
            _ in
        },
        UpstreamRow(
            name: "U15 401 again with a fresh token", hasTokenService: true, blob: Self.denied, tag: Self.denied, pastTag: .stale
        ) { scene in
            scene.upstream.scriptForever(
                .init(contains: "/v2/"), Self.challenge("Bearer realm=\"\(scene.upstream.url)/token\",service=\"scripted\""))
        },
        UpstreamRow(name: "U16 401 without a challenge", blob: Self.denied, tag: Self.denied, pastTag: .stale) {
            $0.always(Self.challenge(nil))
        },
        UpstreamRow(name: "U16 401 with junk", blob: Self.denied, tag: Self.denied, pastTag: .stale) {
            $0.always(Self.challenge("Bearer realm=\"http://"))
        },
        UpstreamRow(name: "U16 401 with 6 KiB of challenge", blob: Self.denied, tag: Self.denied, pastTag: .stale) {
            $0.always(Self.challenge("Bearer realm=\"\(String(repeating: "x", count: 6 << 10))\""))
        },
        // Larger than any header may be, so that nobody looks at it.
        UpstreamRow(name: "U16 401 with 64 KiB of challenge", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(Self.challenge("Bearer realm=\"\(String(repeating: "x", count: 64 << 10))\""))
        },
        UpstreamRow(
            name: "U17 token server down", hasTokenService: true, blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale
        ) { $0.upstream.scriptForever(.token, .status(500)) },
        UpstreamRow(
            name: "U17 no token in the JSON", hasTokenService: true, blob: Self.unavailable, tag: Self.unavailable,
            pastTag: .stale
        ) { $0.upstream.scriptForever(.token, .status(200, body: Array("{\"expires_in\":300}".utf8))) },
        UpstreamRow(name: "U17 expires_in of -1", hasTokenService: true, blob: .whole, tag: .whole, pastTag: .whole) {
            Self.giveToken($0, lifetime: "-1")
        },
        UpstreamRow(name: "U17 expires_in of 1e99", hasTokenService: true, blob: .whole, tag: .whole, pastTag: .whole) {
            Self.giveToken($0, lifetime: "1e99")
        },
    ]

    private static func giveToken(_ scene: Scene, lifetime: String) {
        scene.upstream.acceptToken("own", scope: "repository:library/nginx:pull")
        scene.upstream.scriptForever(.token, .status(200, body: Array("{\"token\":\"own\",\"expires_in\":\(lifetime)}".utf8)))
    }

    // MARK: - Answers

    static let answers: [UpstreamRow] = [
        UpstreamRow(name: "U18 403", blob: Self.denied, tag: Self.denied, pastTag: .stale) { $0.always(.status(403)) },
        UpstreamRow(name: "U18 404 for a blob", blob: .error(404, "BLOB_UNKNOWN"), tag: .whole, pastTag: .whole) {
            $0.upstream.scriptForever(.init(contains: "/blobs/"), .status(404))
        },
        UpstreamRow(
            name: "U18 404 for a manifest", blob: .whole, tag: .error(404, "MANIFEST_UNKNOWN"),
            pastTag: .error(404, "MANIFEST_UNKNOWN")
        ) { $0.upstream.scriptForever(.init(contains: "/manifests/"), .status(404)) },
        UpstreamRow(
            name: "U19 429", blob: .error(429, "TOOMANYREQUESTS"), tag: .error(429, "TOOMANYREQUESTS"), pastTag: .stale,
            ranged: [false], tagRequests: 1
        ) { $0.always(.status(429, headers: [("Retry-After", "30")])) },
        UpstreamRow(name: "U20 500", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) { $0.always(.status(500)) },
        UpstreamRow(name: "U20 502", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) { $0.always(.status(502)) },
        UpstreamRow(name: "U20 503", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) { $0.always(.status(503)) },
        UpstreamRow(name: "U20 504", blob: Self.timeout, tag: Self.timeout, pastTag: .stale) { $0.always(.status(504)) },
        UpstreamRow(name: "U20 503 once", blob: .whole, tag: .whole, ranged: [false, false], tagRequests: 2) {
            $0.upstream.script(.blob($0.layer.digest), .status(503))
            $0.upstream.script(.manifest("latest"), .status(503))
        },
        UpstreamRow(name: "U21 405 on HEAD", blob: .whole, tag: .whole, pastTag: .whole) {
            $0.upstream.scriptForever(.init(method: "HEAD"), .status(405))
        },
        UpstreamRow(name: "U21 501 on HEAD", blob: .whole, tag: .whole, pastTag: .whole) {
            $0.upstream.scriptForever(.init(method: "HEAD"), .status(501))
        },
        UpstreamRow(name: "U22 redirect loop", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) { scene in
            scene.upstream.scriptForever(
                .init(contains: "/blobs/"), .redirect(to: "\(scene.upstream.url)\(scene.image.blobPath(scene.layer.digest))"))
            scene.upstream.scriptForever(
                .init(contains: "/manifests/"), .redirect(to: scene.upstream.url + scene.image.manifestPath))
        },
        UpstreamRow(name: "U23 redirect to another host", hasTokenService: true, blob: .whole) { scene in
            let host = try scene.host()
            host.addFile(scene.layer.bytes, at: "/storage")
            // There, a request with credentials is none.
            host.scriptForever(.init { $0.header("authorization") != nil }, .status(400))
            scene.upstream.scriptForever(.blob(scene.layer.digest), .redirect(to: "\(host.url)/storage?signature=x"))
        },
        UpstreamRow(name: "U24 redirect to a file", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(.redirect(to: "file:///etc/passwd"))
        },
        UpstreamRow(name: "U25 signed URL expired on resume", blob: .whole, ranged: [false, true, true]) { scene in
            let host = try scene.host()
            host.addFile(scene.layer.bytes, at: "/storage")
            host.script(.any, .resetAfter(bytes: Self.half), .status(403))
            scene.upstream.scriptForever(.blob(scene.layer.digest), .redirect(to: "\(host.url)/storage?signature=x"))
        },
        UpstreamRow(name: "U26 malformed manifest", tag: Self.unavailable, pastTag: .stale) {
            let type = "application/vnd.oci.image.manifest.v1+json"
            $0.upstream.addManifest(
                Array(#"{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}"#.utf8), mediaType: type,
                in: "library/nginx",
                tag: "latest")
        },
        UpstreamRow(name: "U26 wrong media type", tag: Self.unavailable, pastTag: .whole) {
            $0.upstream.scriptForever(.init(contains: "/manifests/"), .wrongContentType("text/plain"))
        },
        UpstreamRow(name: "U27 manifest over 4 MiB", tag: Self.unavailable, pastTag: .stale) {
            $0.upstream.scriptForever(.head("latest"), .status(405))
            $0.upstream.scriptForever(
                .manifest(),
                .endless(
                    preface:
                        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 9999999999\r\n\r\n",
                    repeating: "x"))
        },
        UpstreamRow(name: "U28 Docker-Content-Digest wrong", blob: .whole, tag: .whole, pastTag: .whole) {
            $0.always(.replaceHeader("Docker-Content-Digest", "sha256:\(String(repeating: "a", count: 64))"))
        },
        UpstreamRow(name: "U28 Docker-Content-Digest missing", blob: .whole, tag: .whole, pastTag: .whole) {
            $0.always(.withoutHeader("Docker-Content-Digest"))
        },
        UpstreamRow(name: "U30 304 once", blob: .whole, tag: .whole, pastTag: .whole, ranged: [false, false]) {
            $0.upstream.script(.blob($0.layer.digest), .status(304))
            $0.upstream.script(.init(contains: "/manifests/"), .status(304))
        },
        UpstreamRow(
            name: "U30 304 always", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale, ranged: [false, false]
        ) {
            $0.always(.status(304))
        },
    ]

    // MARK: - Connections

    private static let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    static let connections: [UpstreamRow] = [
        UpstreamRow(
            name: "U31 DNS fails",
            options: { $0.tune = { $0.address = UpstreamAddress("http://registry.invalid") ?? $0.address } },
            blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale
        ) { _ in },
        UpstreamRow(
            name: "U33 closes a kept connection as we send", blob: .whole, tag: .whole, pastTag: .whole, ranged: [false, false]
        ) {
            $0.upstream.script(.blob($0.layer.digest), .closeImmediately)
            $0.upstream.script(.init(contains: "/manifests/"), .closeImmediately)
        },
        UpstreamRow(name: "U34 sixteen 1xx", blob: .whole, tag: .whole, pastTag: .whole) {
            $0.always(.preface(String(repeating: Self.hints, count: 16)))
        },
        UpstreamRow(
            name: "U34 a flood of 1xx", options: Self.impatient, blob: Self.timeout, tag: Self.timeout, pastTag: .stale
        ) { $0.always(.endless(preface: "", repeating: Self.hints)) },
        UpstreamRow(name: "U35 206 without a Range", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(.status(206, headers: [("Content-Range", "bytes 0-9/1048576")], body: Array("0123456789".utf8)))
        },
        UpstreamRow(name: "U35 multipart", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(.status(206, headers: [("Content-Type", "multipart/byteranges; boundary=x")], body: Array("--x--".utf8)))
        },
        UpstreamRow(name: "U36 1 MiB of header", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(.header("X-Large", String(repeating: "x", count: 1 << 20)))
        },
        UpstreamRow(name: "U36 65 header fields", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.always(.combined((0..<65).map { .header("X-\($0)", "y") }))
        },
        UpstreamRow(name: "U38 all upstreams down", blob: Self.unavailable, tag: Self.unavailable, pastTag: .stale) {
            $0.upstream.stop()
        },
    ]
}
