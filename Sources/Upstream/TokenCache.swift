import OCI
import Synchronization

/// Bearer tokens by account and scope, and how the registry wants to be convinced, so that the next repository needs no 401 first.
final class TokenCache: Sendable {
    struct Token: Sendable, CustomStringConvertible {
        /// The value of the `Authorization` header.
        let authorization: String
        let expiresAt: ContinuousClock.Instant

        var description: String { "<redacted>" }
    }

    /// Where tokens come from: what a challenge said, without its scope.
    struct Realm: Sendable, Hashable {
        let url: String
        let service: String?
    }

    /// What a registry's last challenge asked for.
    enum Scheme: Sendable, Hashable {
        case bearer(Realm)
        case basic
    }

    private struct State {
        var scheme: Scheme?
        /// Refresh tokens that token services gave, by account: RFC 6749, 1.5.
        var refreshTokens: [String: String] = [:]
        var tokens: [String: Token] = [:]
    }

    private static let limit = Limits.Memory.tokens

    private let state = Mutex(State())
    private let flights = SingleFlight<String, Token>()

    var scheme: Scheme? {
        self.state.withLock { $0.scheme }
    }

    func forgetScheme() { self.state.withLock { $0.scheme = nil } }

    func remember(_ scheme: Scheme) { self.state.withLock { $0.scheme = scheme } }

    func refreshToken(of account: String) -> String? { self.state.withLock { $0.refreshTokens[account] } }

    func remember(refreshToken: String?, of account: String) { self.state.withLock { $0.refreshTokens[account] = refreshToken } }

    /// What a token is kept under: another account has other rights.
    static func key(_ scope: String, account: String?) -> String { account.map { "\(scope) for \($0)" } ?? scope }

    /// A token that is still good, if there is one.
    func token(for scope: String) -> Token? {
        self.state.withLock { state in
            guard let token = state.tokens[scope] else { return nil }
            if token.expiresAt <= .now {
                state.tokens[scope] = nil
                return nil
            }
            return token
        }
    }

    /// The token for a scope; fetched once, however many ask.
    ///
    /// - Parameter rejected: the token that the registry has just refused, which is not good enough any more.
    func token(for scope: String, rejected: Token?, fetch: () async throws -> Token) async throws -> Token {
        if let rejected {
            self.state.withLock { state in
                if state.tokens[scope]?.authorization == rejected.authorization { state.tokens[scope] = nil }
            }
        }
        if let token = self.token(for: scope) { return token }
        return try await self.flights.run(scope) {
            if let token = self.token(for: scope) { return token }
            let token = try await fetch()
            self.state.withLock { state in
                if state.tokens.count >= Self.limit { state.tokens.removeAll() }
                state.tokens[scope] = token
            }
            return token
        }
    }
}
