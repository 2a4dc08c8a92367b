import PullThrough
import TestSupport
import Testing
import Upstream

/// What is said by one place and meant for another.
@Suite struct ServerPlacesTests {
    @Test("the rate limit of a mirror is not the registry's")
    func mirrorLimit() async throws {
        let registry = try ScriptedUpstream()
        let mirror = try ScriptedUpstream()
        mirror.addImage(repository: "library/nginx", tag: "latest")
        mirror.scriptForever(
            .any, Behaviour.header("ratelimit-limit", "100;w=21600").and(.header("ratelimit-remaining", "3;w=21600")))
        let address = try #require(UpstreamAddress(mirror.url))
        var options = ServerHarness.Options()
        options.tune = { $0.mirrors = [address] }
        try await ServerHarness.run(registry, options) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 200)
            #expect(!mirror.requests.isEmpty)
            #expect(!(try await server.get("/health").text.contains(#""rateLimitRemaining":3"#)))
        }
    }

    @Test("a registry that leads to another address, where credentials are wanted, is said to have moved")
    func moved() async throws {
        let old = try ScriptedUpstream()
        let new = try ScriptedUpstream(tokenService: true)
        let path = "/v2/library/nginx/manifests/latest"
        old.scriptForever(.any, .redirect(to: new.url + path, status: 301))
        try await ServerHarness.run(old) { server async throws in
            let answer = try await server.get(path)
            #expect(answer.status == 403)
            #expect(answer.text.contains("redirects to \(new.url), which wants credentials"))
            #expect(new.requests.allSatisfy { $0.header("authorization") == nil })
        }
    }

    @Test("a token service that limits us is the answer: the registry is not asked without a token")
    func limitedTokens() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.addImage(repository: "library/other", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            upstream.scriptForever(.token, .status(429, headers: [("Retry-After", "60")]))
            #expect(try await server.get("/v2/library/other/manifests/latest").status == 429)
            #expect(upstream.requests("GET", contains: "library/other").isEmpty)
        }
    }

    @Test("the next page of several links is the one that says so")
    func severalLinks() async throws {
        let upstream = try ScriptedUpstream()
        let path = "/v2/library/nginx/referrers/sha256:" + String(repeating: "a", count: 64)
        func page(_ links: String?) -> Behaviour {
            .status(
                200,
                headers: [("Content-Type", "application/vnd.oci.image.index.v1+json")] + (links.map { [("Link", $0)] } ?? []),
                body: Array("{\"schemaVersion\":2,\"manifests\":[]}".utf8))
        }
        upstream.script(
            .path(path), page("<\(path)?page=0>; rel=\"prev\", <\(path)?page=2>; rel=\"next\", <\(path)?page=9>; rel=\"last\""),
            page("<\(path)?page=1>; rel=\"prev\""))
        try await ServerHarness.run(upstream) { server async throws in
            #expect(try await server.get(path).status == 200)
            #expect(upstream.requests.map(\.target) == [path, path + "?page=2"])
        }
    }
}
