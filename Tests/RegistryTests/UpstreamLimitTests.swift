import OCI
import TestSupport
import Testing

/// `Limits.Upstream` and `Limits.Documents`, as an upstream meets them that sends without end: RELIABILITY.md §5, "endless manifest,
/// token, error, tag page" (GHSA-f36w-mj3v-6jqv) and "endless Link: next" (GHSA-298f-872v-2rcx). What is sent runs until we hang up:
/// a test that ends has hung up.
@Suite struct UpstreamLimitTests {
    private static let latest = "/v2/library/nginx/manifests/latest"

    private static func upstream(
        _ matcher: RequestMatcher, _ behaviour: Behaviour, tokenService: Bool = false
    ) throws -> ScriptedUpstream {
        let upstream = try ScriptedUpstream(tokenService: tokenService)
        _ = upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.scriptForever(matcher, behaviour)
        return upstream
    }

    private static func endless(_ status: String, type: String = "application/json") -> Behaviour {
        .endless(
            preface: "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: 4611686018427387904\r\n\r\n{\"a\":\"",
            repeating: String(repeating: "x", count: 4096))
    }

    // MARK: - Heads

    private static func headers(_ fields: [(name: String, value: String)]) -> Behaviour {
        .combined(fields.map { .header($0.name, $0.value) })
    }

    @Test(
        "headField: 8 KiB of name and value in a response, one byte more is a 502",
        arguments: [(8192, 200), (8193, 502), (81_000, 502)])
    func headField(_ bytes: Int, _ status: Int) async throws {
        let field = Self.headers([("x", String(repeating: "v", count: bytes - 1))])
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), field)) { server async throws in
            #expect(try await server.get(Self.latest).status == status)
        }
    }

    @Test("headBlock: 32 KiB of fields in a response, more is a 502", arguments: [(3, 200), (4, 502), (200, 502)])
    func headBlock(_ count: Int, _ status: Int) async throws {
        let fields = Self.headers((0..<count).map { _ in ("x", String(repeating: "v", count: 8191)) })
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), fields)) { server async throws in
            #expect(try await server.get(Self.latest).status == status)
        }
    }

    @Test("headFields: 64 of them in a response, more is a 502", arguments: [(50, 200), (65, 502), (5_000, 502)])
    func headFields(_ count: Int, _ status: Int) async throws {
        let fields = Self.headers((0..<count).map { _ in ("x", "y") })
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), fields)) { server async throws in
            #expect(try await server.get(Self.latest).status == status)
        }
    }

    @Test("a blob's head has the same limits")
    func headOfBlob() async throws {
        let upstream = try ScriptedUpstream()
        let digest = upstream.addBlob(Fixtures.pseudoRandomBytes(count: 1000, seed: 81), in: "library/nginx")
        upstream.scriptForever(.blob(digest), Self.headers((0..<65).map { _ in ("x", "y") }))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.blob(digest).status == 502)
        }
    }

    // MARK: - Bodies

    @Test("manifest: an endless one is a 502")
    func manifest() async throws {
        let behaviour = Self.endless("200 OK", type: "application/vnd.oci.image.manifest.v1+json")
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), behaviour)) { server async throws in
            #expect(try await server.get(Self.latest).status == 502)
        }
    }

    @Test("manifest: 4 MiB are carried, one byte more is not", arguments: [(4 << 20, 200), (4 << 20 + 1, 502)])
    func manifestSize(_ size: Int, _ status: Int) async throws {
        let frame =
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[],\"annotations\":{\"a\":\"\"}}"
        let padding = String(repeating: "x", count: size - frame.utf8.count)
        let document = frame.replacing("\"\"}}", with: "\"\(padding)\"}}")
        #expect(document.utf8.count == size)
        let answer = Behaviour.status(
            200, headers: [("Content-Type", "application/vnd.oci.image.index.v1+json")], body: Array(document.utf8))
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), answer)) { server async throws in
            let response = try await server.get(Self.latest)
            #expect(response.status == status)
            if status == 200 { #expect(response.byteCount == size) }
        }
    }

    @Test(
        "errorDocument: of an endless error nobody waits for the end", arguments: ["404 Not Found", "500 Internal Server Error"])
    func errorDocument(_ status: String) async throws {
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), Self.endless(status))) { server async throws in
            #expect(try await server.get(Self.latest).status >= 400)
        }
    }

    @Test("token: an endless one is a 502, and so is one above 64 KiB", arguments: [true, false])
    func token(_ isEndless: Bool) async throws {
        let large = Behaviour.status(
            200, headers: [("Content-Type", "application/json")],
            body: Array("{\"token\":\"a\",\"b\":\"\(String(repeating: "x", count: 64 << 10))\"}".utf8))
        let upstream = try Self.upstream(.token, isEndless ? Self.endless("200 OK") : large, tokenService: true)
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get(Self.latest).status == 502)
        }
    }

    @Test(
        "list: an endless page of tags or referrers is a 502",
        arguments: ["tags/list", "referrers/sha256:\(String(repeating: "a", count: 64))"])
    func list(_ path: String) async throws {
        let upstream = try Self.upstream(.get(path), Self.endless("200 OK"))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/\(path)").status == 502)
        }
    }

    @Test("listPages: pages of referrers that never end are a 502 after a hundred, a circle at once", arguments: [true, false])
    func listPages(_ isCircle: Bool) async throws {
        let digest = "sha256:\(String(repeating: "a", count: 64))"
        let upstream = try ScriptedUpstream()
        let document = Array("{\"schemaVersion\":2,\"manifests\":[]}".utf8)
        let pages = (1...110).map { page in
            Behaviour.status(
                200,
                headers: [
                    ("Content-Type", "application/vnd.oci.image.index.v1+json"),
                    ("Link", "</v2/library/nginx/referrers/\(digest)?page=\(isCircle ? 1 : page)>; rel=\"next\""),
                ], body: document)
        }
        upstream.script(.path("/v2/library/nginx/referrers/\(digest)"), pages)
        // A hundred exchanges take their time on a machine that has other things to do.
        let options = ServerHarness.Options(tune: { $0.budget = .seconds(600) })
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await RawHTTPClient.get(
                port: server.port, path: "/v2/library/nginx/referrers/\(digest)", timeout: .seconds(600))
            #expect(response.status == 502)
            #expect(upstream.requests.count == (isCircle ? 2 : 100))
        }
    }

    @Test("depth: a manifest of more than 64 levels is believed by nobody and passed by digest alone")
    func depth() async throws {
        let deep = "{\"schemaVersion\":2,\"a\":\(String(repeating: "[", count: 64))\(String(repeating: "]", count: 64))}"
        let answer = Behaviour.status(
            200, headers: [("Content-Type", "application/vnd.oci.image.manifest.v1+json")], body: Array(deep.utf8))
        try await ServerHarness.run(try Self.upstream(.manifest("latest"), answer)) { server async throws in
            #expect(try await server.get(Self.latest).status == 502)
        }
    }
}
