import TestSupport
import Testing
import Upstream

/// Who is told our credentials, and how. The canary is `canary-password`; its base 64 with the name is from `base64(1)`.
@Suite struct ServerCredentialTests {
    private static let credential = Credential(username: "user", secret: .password("canary-password"))
    /// `printf 'user:canary-password' | base64`
    private static let basic = "Basic dXNlcjpjYW5hcnktcGFzc3dvcmQ="

    private static func options(
        _ upstream: ScriptedUpstream, _ source: (any CredentialSource)? = nil,
        _ tune: @escaping @Sendable (inout UpstreamConfiguration) -> Void = { _ in }
    ) throws -> ServerHarness.Options {
        let address = try #require(UpstreamAddress(upstream.url))
        var options = ServerHarness.Options()
        options.tune = { configuration in
            configuration.credentials = source ?? FixedCredential(Self.credential, for: address)
            tune(&configuration)
        }
        return options
    }

    private static func challenge(_ value: String) -> Behaviour { .status(401, headers: [("WWW-Authenticate", value)]) }

    /// Whether a request gives anything away.
    private static func tells(_ request: RecordedRequest) -> Bool {
        let text = String(decoding: request.raw, as: UTF8.self)
        return text.contains("canary") || text.contains("dXNlcjpjYW5hcnk") || request.header("authorization") != nil
    }

    @Test("a registry's own token service is told the name and the password by Basic, the registry only the token")
    func tokenByGet() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            let tokens = upstream.requests("GET", path: "/token")
            #expect(tokens.count == 1)
            #expect(tokens[0].header("authorization") == Self.basic)
            #expect(tokens[0].query("account") == ["user"])
            for request in upstream.requests where request.path != "/token" {
                #expect(request.header("authorization")?.hasPrefix("Bearer ") ?? true)
            }
        }
    }

    @Test(
        "a registry that asks for Basic gets it, and from then on without being asked",
        arguments: [#"Basic realm="x""#, #"Negotiate, Basic realm="x""#])
    func basicScheme(_ challenge: String) async throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.scriptForever(
            RequestMatcher(where: { $0.header("authorization") != Self.basic }), Self.challenge(challenge))
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(try await server.blob(image.layers[0].digest).body == image.layers[0].bytes)
            #expect(upstream.requests.filter { $0.header("authorization") == nil }.count == 1)
        }
    }

    @Test("a token service that has no GET is asked by POST, as OAuth2 has it")
    func tokenByPost() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.scriptForever(RequestMatcher(method: "GET", path: "/token"), .status(405))
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            upstream.acceptToken("by-post", scope: "repository:library/nginx:pull")
            upstream.scriptForever(
                RequestMatcher(method: "POST", path: "/token"),
                .status(200, headers: [("Content-Type", "application/json")], body: Array(#"{"access_token":"by-post"}"#.utf8)))
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            let post = try #require(upstream.requests("POST", path: "/token").first)
            #expect(post.header("content-type") == "application/x-www-form-urlencoded")
            let form = String(decoding: post.body, as: UTF8.self).split(separator: "&").sorted().joined(separator: "&")
            #expect(
                form == "client_id=amargo&grant_type=password&password=canary-password&scope=repository%3Alibrary%2Fnginx%3Apull"
                    + "&service=scripted&username=user")
        }
    }

    @Test("an identity token is given to the token service alone, and a newer one that comes back is used from then on")
    func identityToken() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.addImage(repository: "library/redis", tag: "latest", seed: 5)
        let address = try #require(UpstreamAddress(upstream.url))
        let source = FixedCredential(Credential(username: "user", secret: .identityToken("canary-first")), for: address)
        for repository in ["nginx", "redis"] {
            upstream.acceptToken("token-\(repository)", scope: "repository:library/\(repository):pull")
        }
        for repository in ["nginx", "redis"] {
            upstream.scriptForever(
                RequestMatcher(
                    method: "POST", path: "/token",
                    where: { String(decoding: $0.body, as: UTF8.self).contains("%2F\(repository)%3A") }),
                .status(200, body: Array(#"{"access_token":"token-\#(repository)","refresh_token":"canary-second"}"#.utf8)))
        }
        try await ServerHarness.run(upstream, try Self.options(upstream, source)) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").status == 200)
            #expect(try await server.get("/v2/library/redis/manifests/latest").status == 200)
            let bodies = upstream.requests("POST", path: "/token").map { String(decoding: $0.body, as: UTF8.self) }
            #expect(bodies.map { $0.contains("refresh_token=canary-first") } == [true, false])
            #expect(bodies.map { $0.contains("refresh_token=canary-second") } == [false, true])
            #expect(upstream.requests("GET", path: "/token").isEmpty)
        }
    }

    @Test("challenge realm on another host: no credentials there, unless the configuration names it", arguments: [false, true])
    func realmElsewhere(_ isNamed: Bool) async throws {
        let upstream = try ScriptedUpstream()
        let service = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        service.scriptForever(.token, .status(200, body: Array(#"{"token":"given"}"#.utf8)))
        upstream.scriptForever(
            RequestMatcher(where: { $0.header("authorization") != "Bearer given" }),
            Self.challenge(#"Bearer realm="\#(service.url)/token",service="s""#))
        let options = try Self.options(upstream) { if isNamed { $0.authHosts = ["127.0.0.1:\(service.port)"] } }
        try await ServerHarness.run(upstream, options) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
            #expect(service.requests.count == 1)
            #expect(service.requests[0].header("authorization") == (isNamed ? Self.basic : nil))
            #expect(Self.tells(service.requests[0]) == isNamed)
        }
    }

    @Test(
        "challenge realm that leads into a private network, from a public registry: nobody there is asked",
        arguments: [
            "http://127.0.0.1:PORT/token", "http://localhost:PORT/token", "http://localhost.:PORT/token",
            "http://[::1]:PORT/token",
            "http://0.0.0.0:PORT/token", "http://[::ffff:127.0.0.1]:PORT/token", "http://2130706433:PORT/token",
            "http://0x7f000001:PORT/token", "http://017700000001:PORT/token", "http://127.1:PORT/token",
            "http://user@127.0.0.1:PORT/token", "http://user:pass@127.0.0.1:PORT/token", "http://127.0.0.1:0/token",
            "http://169.254.169.254/latest/meta-data", "//127.0.0.1:PORT/token", "/token", "file:///etc/passwd",
            "ftp://127.0.0.1:PORT/",
            "http://127.0.0.1:PORT\\@example.com/", "http:127.0.0.1:PORT/token",
        ])
    func privateRealm(_ realm: String) async throws {
        let upstream = try ScriptedUpstream()
        let victim = try ScriptedUpstream()
        upstream.addImage(repository: "library/nginx", tag: "latest")
        victim.scriptForever(.any, .status(200, body: Array(#"{"token":"given"}"#.utf8)))
        let text = realm.replacing("PORT", with: "\(victim.port)")
        upstream.scriptForever(.any, Self.challenge("Bearer realm=\"\(text.replacing("\\", with: "\\\\"))\",service=\"s\""))
        let options = try Self.options(upstream) { $0.allowsPrivateTargets = false }
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.get("/v2/library/nginx/manifests/latest")
            #expect([403, 502].contains(response.status))
            #expect(victim.requests.isEmpty)
            #expect(upstream.requests.allSatisfy { !Self.tells($0) })
        }
    }

    @Test(
        "SSRF by redirect: a public registry does not lead into a private network",
        arguments: ["127.0.0.1", "localhost", "2130706433", "[::1]"])
    func privateRedirect(_ host: String) async throws {
        let upstream = try ScriptedUpstream()
        let victim = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 1000, seed: 3)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        victim.addFile(bytes, at: "/blob")
        upstream.scriptForever(.blob(digest), .redirect(to: "http://\(host):\(victim.port)/blob"))
        let options = try Self.options(upstream) { $0.allowsPrivateTargets = false }
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.status == 502)
            #expect(victim.requests.isEmpty)
            #expect(String(decoding: response.body, as: UTF8.self).contains("private network"))
        }
    }

    @Test("token or cookie kept across a redirect: neither a name nor a token goes along, nor to a place that comes back")
    func redirects() async throws {
        let upstream = try ScriptedUpstream()
        let delivery = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 70_000, seed: 9)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.addFile(bytes, at: "/back")
        upstream.scriptForever(
            RequestMatcher(contains: "/v2/", where: { $0.header("authorization") != Self.basic }),
            Self.challenge(#"Basic realm="x""#))
        upstream.scriptForever(
            RequestMatcher(contains: "/blobs/", where: { $0.header("authorization") == Self.basic }),
            .redirect(to: "\(delivery.url)/there").and(.header("Set-Cookie", "session=canary; Path=/")))
        delivery.scriptForever(.any, .redirect(to: "\(upstream.url)/back"))
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            #expect(try await server.blob(digest).body == bytes)
            #expect(delivery.requests.count == 1)
            #expect(delivery.requests.allSatisfy { !Self.tells($0) && $0.header("cookie") == nil })
            let back = upstream.requests.filter { $0.path == "/back" }
            #expect(back.count == 1)
            #expect(back.allSatisfy { !Self.tells($0) && $0.header("cookie") == nil })
        }
    }

    @Test("401 from a place that was redirected to is no reason to tell it anything")
    func challengeBehindRedirect() async throws {
        let upstream = try ScriptedUpstream()
        let delivery = try ScriptedUpstream()
        let digest = upstream.addBlob(Array("content".utf8), in: "library/nginx")
        upstream.scriptForever(.blob(digest), .redirect(to: "\(delivery.url)/there"))
        delivery.scriptForever(.any, Self.challenge(#"Basic realm="x""#))
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            #expect(try await server.blob(digest).status == 403)
            #expect(delivery.requests.count == 1)
            #expect(delivery.requests.allSatisfy { !Self.tells($0) })
        }
    }

    /// Gives a new password when the first was refused, as a helper for ECR does.
    private struct Renewing: CredentialSource {
        func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential? {
            rejected == nil ? Credential(username: "user", secret: .password("old")) : ServerCredentialTests.credential
        }
    }

    @Test(
        "a password that has run out is replaced by the one that its source has now, unseen by the client",
        arguments: [true, false])
    func renewed(_ usesTokens: Bool) async throws {
        let upstream = try ScriptedUpstream(tokenService: usesTokens)
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        if usesTokens {
            upstream.scriptForever(
                RequestMatcher(path: "/token", where: { $0.header("authorization") != Self.basic }), .status(401))
        } else {
            upstream.scriptForever(
                RequestMatcher(where: { $0.header("authorization") != Self.basic }), Self.challenge(#"Basic realm="x""#))
        }
        try await ServerHarness.run(upstream, try Self.options(upstream, Renewing())) { server async throws in
            #expect(try await server.get("/v2/library/nginx/manifests/latest").body == image.manifest.bytes)
        }
    }

    @Test("a wrong password is DENIED, and a source that fails says why")
    func denied() async throws {
        struct Failing: CredentialSource {
            struct Reason: Error, CustomStringConvertible { let description = "the helper is not there" }
            func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential? { throw Reason() }
        }
        let upstream = try ScriptedUpstream()
        upstream.addImage(repository: "library/nginx", tag: "latest")
        upstream.scriptForever(.any, Self.challenge(#"Basic realm="x""#))
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            let response = try await server.get("/v2/library/nginx/manifests/latest")
            #expect(response.status == 403)
            #expect(String(decoding: response.body, as: UTF8.self).contains("DENIED"))
            #expect(response.header("www-authenticate") == nil)
        }
        try await ServerHarness.run(upstream, try Self.options(upstream, Failing())) { server async throws in
            let response = try await server.get("/v2/library/nginx/manifests/latest")
            // An outage of ours, and its details are for the log.
            #expect(response.status == 502)
            #expect(String(decoding: response.body, as: UTF8.self).contains("cannot be had"))
            #expect(!String(decoding: response.body, as: UTF8.self).contains("helper"))
        }
    }

    @Test("tokens mixed up: each repository has its own, each account as well")
    func tokenKeys() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let one = upstream.addImage(repository: "library/one", tag: "latest")
        let two = upstream.addImage(repository: "library/two", tag: "latest", seed: 8)
        try await ServerHarness.run(upstream, try Self.options(upstream)) { server async throws in
            #expect(try await server.get("/v2/library/one/manifests/latest").body == one.manifest.bytes)
            #expect(try await server.get("/v2/library/two/manifests/latest").body == two.manifest.bytes)
            let scopes = upstream.requests("GET", path: "/token").map { $0.query("scope") }
            #expect(scopes == [["repository:library/one:pull"], ["repository:library/two:pull"]])
            // The scripted registry takes a token for its own repository alone.
            #expect(try await server.blob(one.layers[0].digest, in: "library/one").status == 200)
            #expect(try await server.blob(two.layers[0].digest, in: "library/two").status == 200)
        }
    }

    @Test("a client's Authorization is never sent on")
    func clientCredentials() async throws {
        let upstream = try ScriptedUpstream()
        upstream.addImage(repository: "library/nginx", tag: "latest")
        try await ServerHarness.run(upstream) { server async throws in
            let response = try await server.get(
                "/v2/library/nginx/manifests/latest",
                headers: [("Authorization", Self.basic), ("Cookie", "canary=1"), ("X-Forwarded-For", "canary")])
            #expect(response.status == 200)
            #expect(upstream.requests.allSatisfy { !Self.tells($0) })
        }
    }
}
