import TestSupport
import Testing

struct TokenServiceTests {
    private let upstream: ScriptedUpstream
    private let image: FixtureImage

    init() throws {
        self.upstream = try ScriptedUpstream(tokenService: true)
        self.image = self.upstream.addImage(repository: "org/app")
    }

    private func get(_ path: String, token: String? = nil) async throws -> RawResponse {
        let headers = token.map { [("Authorization", "Bearer \($0)")] } ?? []
        return try await RawHTTPClient.get(port: self.upstream.port, path: path, headers: headers)
    }

    private func fetchToken(_ scope: String) async throws -> String {
        let response = try await self.get("/token?service=scripted&scope=\(scope)")
        return String(response.text.split(separator: "\"")[3])
    }

    @Test("no token, a challenge; its token opens that repository only, until it is revoked")
    func tokens() async throws {
        let refused = try await self.get(self.image.manifestPath)
        #expect(refused.status == 401 && refused.text.contains("UNAUTHORIZED"))
        #expect(
            refused.header("www-authenticate")
                == "Bearer realm=\"\(self.upstream.url)/token\",service=\"scripted\",scope=\"repository:org/app:pull\"")
        let token = try await self.fetchToken("repository%3Aorg%2Fapp%3Apull")
        #expect(try await self.get(self.image.manifestPath, token: token).status == 200)
        let other = try await self.fetchToken("repository:org/else:pull")
        #expect(try await self.get(self.image.manifestPath, token: other).status == 401)
        self.upstream.revokeTokens()
        #expect(try await self.get(self.image.manifestPath, token: token).status == 401)
        #expect(self.upstream.requests(matching: .token).count == 2)
    }

    @Test("behaviours wait for an authorized request unless told otherwise")
    func scripts() async throws {
        self.upstream.script(.manifest(), .status(503))
        #expect(try await self.get(self.image.manifestPath).status == 401)
        self.upstream.script(.manifest().evenUnauthorized, .status(418))
        #expect(try await self.get(self.image.manifestPath).status == 418)
        self.upstream.acceptToken("mine", scope: "repository:org/app:pull")
        #expect(try await self.get(self.image.manifestPath, token: "mine").status == 503)
        #expect(try await self.get(self.image.manifestPath, token: "mine").status == 200)
    }

    @Test("a token without a lifetime never works")
    func expires() async throws {
        self.upstream.setTokenLifetime(seconds: 0)
        let response = try await self.get("/token?service=scripted&scope=repository:org/app:pull")
        #expect(response.text == "{\"token\":\"scripted-token-1\",\"expires_in\":0}")
        #expect(try await self.get(self.image.manifestPath, token: "scripted-token-1").status == 401)
    }
}
