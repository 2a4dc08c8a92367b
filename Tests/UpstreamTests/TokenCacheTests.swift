import TestSupport
import Testing

@testable import Upstream

struct TokenCacheTests {
    private static func token(_ text: String, lifetime: Duration = .seconds(300)) -> TokenCache.Token {
        TokenCache.Token(authorization: "Bearer \(text)", expiresAt: .now + lifetime)
    }

    @Test("a token is fetched once and used until it expires")
    func caches() async throws {
        let cache = TokenCache()
        let fetches = Counter()
        for _ in 0..<3 {
            let token = try await cache.token(for: "repository:a:pull", rejected: nil) {
                fetches.increment()
                return Self.token("one")
            }
            #expect(token.authorization == "Bearer one")
        }
        #expect(fetches.count == 1)
        #expect(cache.token(for: "repository:a:pull")?.authorization == "Bearer one")
        #expect(cache.token(for: "repository:b:pull") == nil)
    }

    @Test("an expired token is no token", arguments: [Duration.zero, .seconds(-1)])
    func expires(_ lifetime: Duration) async throws {
        let cache = TokenCache()
        _ = try await cache.token(for: "s", rejected: nil) { Self.token("old", lifetime: lifetime) }
        #expect(cache.token(for: "s") == nil)
        let token = try await cache.token(for: "s", rejected: nil) { Self.token("new") }
        #expect(token.authorization == "Bearer new")
    }

    @Test("a token that was refused is fetched anew, once for all who were refused")
    func rejected() async throws {
        let cache = TokenCache()
        let old = try await cache.token(for: "s", rejected: nil) { Self.token("old") }
        let fetches = Counter()
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    try await cache.token(for: "s", rejected: old) {
                        fetches.increment()
                        return Self.token("new")
                    }.authorization
                }
            }
            for try await authorization in group { #expect(authorization == "Bearer new") }
        }
        #expect(fetches.count == 1)
    }

    @Test("a failed fetch leaves nothing behind")
    func failure() async throws {
        let cache = TokenCache()
        await #expect(throws: UpstreamError.self) {
            try await cache.token(for: "s", rejected: nil) { throw UpstreamError(.timeout, "late") }
        }
        #expect(cache.token(for: "s") == nil)
        #expect(try await cache.token(for: "s", rejected: nil) { Self.token("good") }.authorization == "Bearer good")
    }

    @Test("many scopes do not grow it without end")
    func bounded() async throws {
        let cache = TokenCache()
        for number in 0..<5_000 { _ = try await cache.token(for: "s\(number)", rejected: nil) { Self.token("\(number)") } }
        #expect(cache.token(for: "s4999")?.authorization == "Bearer 4999")
        #expect(cache.token(for: "s0") == nil)
    }

    @Test("a token never shows itself")
    func redacted() {
        let token = Self.token("secret")
        #expect("\(token)" == "<redacted>")
        #expect(String(describing: Optional(token)).contains("secret") == false)
    }
}
