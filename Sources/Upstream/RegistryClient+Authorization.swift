import FoundationEssentials
import NIOCore
import NIOHTTP1
import OCI

/// How a registry is convinced: nothing, a bearer token, or a name and a password.
///
/// Sources: distribution, "Token Authentication Specification" and "Oauth2 Token Authentication"; RFC 7617.
extension RegistryClient {
    /// Sends a request with what has convinced the registry before; and once more with something better when it answers 401.
    func authorized(
        _ call: Call, send: (_ authorization: String?) async throws -> ExchangeDelegate.Response
    ) async throws -> ExchangeDelegate.Response {
        let endpoint = call.endpoint
        var credential = try await self.credential(for: endpoint, rejected: nil)
        var used = try await self.known(call, credential)
        var response = try await send(used.value)
        guard response.head.status == .unauthorized else { return response }
        guard let scheme = self.scheme(of: response.head, hasCredential: credential != nil) else { return response }
        do {
            let fresh = try await self.answer(scheme, call, credential, rejected: used)
            // A name and a password that were refused are refused again.
            if let fresh, fresh.value != used.value {
                endpoint.tokens.remember(scheme)
                used = fresh
                response = try await send(used.value)
            }
            guard response.head.status == .unauthorized else { return response }
        } catch let error as UpstreamError where error.code == .denied {
            // The credential may have been renewed since: ECR's passwords live for twelve hours.
            guard let newer = try await self.credential(for: endpoint, rejected: credential) else { throw error }
            credential = newer
            guard let fresh = try await self.answer(scheme, call, newer, rejected: used) else { throw error }
            endpoint.tokens.remember(scheme)
            return try await send(fresh.value)
        }
        guard let newer = try await self.credential(for: endpoint, rejected: credential),
            let fresh = try await self.answer(scheme, call, newer, rejected: used)
        else { return response }
        return try await send(fresh.value)
    }

    /// A credential, if there is one; with `rejected`, one that is another.
    private func credential(for endpoint: Endpoint, rejected: Credential?) async throws -> Credential? {
        guard let source = self.configuration.credentials else { return nil }
        do {
            let credential = try await source.credential(for: endpoint.address, rejected: rejected)
            if let credential, let rejected, credential == rejected { return nil }
            return rejected != nil && credential == nil ? nil : credential
        } catch {
            // An outage of ours: the paths and programs in it are nothing for clients.
            self.logger.error(
                "[\(self.configuration.name)] The credentials for \(endpoint.address.authority) cannot be had: \(error)")
            throw UpstreamError(.unavailable, "the credentials for \(endpoint.address.authority) cannot be had; the log says why")
                .ofOthers
        }
    }

    /// The value of the `Authorization` header, and the token that it is made of.
    private struct Authorization {
        var value: String?
        var token: TokenCache.Token?
    }

    /// What is likely to be wanted, by what was wanted before.
    private func known(_ call: Call, _ credential: Credential?) async throws -> Authorization {
        switch call.endpoint.tokens.scheme {
        case nil: return Authorization()
        case .basic: return Authorization(value: self.basic(credential, call.endpoint))
        case .bearer(let realm):
            do {
                let token = try await self.token(realm, call, credential, rejected: nil)
                return Authorization(value: token.authorization, token: token)
            } catch let error as UpstreamError {
                switch error.code {
                // Asking without would end at the same door.
                case .cancelled, .timeout, .rateLimited: throw error
                default: break
                }
                // The place may have moved, or no token be needed: the registry says so when it is asked without one.
                call.endpoint.tokens.forgetScheme()
                return Authorization()
            }
        }
    }

    func scheme(of head: HTTPResponseHead, hasCredential: Bool) -> TokenCache.Scheme? {
        let challenges = head.headers["www-authenticate"].flatMap { AuthenticationChallenge.all(in: $0) }
        for case .bearer(let bearer) in challenges {
            return .bearer(TokenCache.Realm(url: bearer.realm, service: bearer.service))
        }
        return hasCredential && challenges.contains(.basic) ? .basic : nil
    }

    private func answer(
        _ scheme: TokenCache.Scheme, _ call: Call, _ credential: Credential?, rejected: Authorization
    ) async throws -> Authorization? {
        switch scheme {
        case .basic: return self.basic(credential, call.endpoint).map { Authorization(value: $0) }
        case .bearer(let realm):
            let token = try await self.token(realm, call, credential, rejected: rejected.token)
            return Authorization(value: token.authorization, token: token)
        }
    }

    private func basic(_ credential: Credential?, _ endpoint: Endpoint) -> String? { credential?.basic }

    // MARK: - Tokens

    private func token(
        _ realm: TokenCache.Realm, _ call: Call, _ credential: Credential?, rejected: TokenCache.Token?
    ) async throws -> TokenCache.Token {
        let key = TokenCache.key(call.scope, account: credential?.username)
        return try await call.endpoint.tokens.token(for: key, rejected: rejected) {
            try await self.fetchToken(realm, call, credential)
        }
    }

    /// Where a token comes from, and whether it may be told who we are.
    private struct TokenService {
        let components: URLComponents
        let host: String
        let reach: Transport.Reach
    }

    private func service(_ realm: TokenCache.Realm, _ call: Call) throws -> TokenService {
        guard let components = URLComponents(string: realm.url), let url = components.url, let place = Self.place(of: url),
            components.user == nil, components.password == nil,
            place.isSecure || !call.endpoint.address.isSecure
        else {
            throw UpstreamError(.invalidResponse, self.say("asks for a token from a place that is not allowed"))
        }
        return TokenService(components: components, host: place.authority, reach: self.reach(of: url, call.endpoint))
    }

    func fetchToken(
        _ realm: TokenCache.Realm, _ call: Call, _ credential: Credential?
    ) async throws -> TokenCache.Token {
        let service = try self.service(realm, call)
        var credential = credential
        if credential != nil, service.reach == .away {
            self.logger.warning(
                """
                [\(self.configuration.name)] The registry wants credentials sent to \(service.host), which is not among its authHosts: \
                asking there without
                """)
            credential = nil
        }
        let name = credential == nil ? "" : " with credentials"
        self.logger.info("[\(self.configuration.name)] Fetching a token from \(service.host) for \(call.scope)\(name)")
        guard let credential else { return try await self.getToken(service, realm, call, nil).cached }
        if let refresh = call.endpoint.tokens.refreshToken(of: credential.username) ?? Self.identityToken(credential) {
            do {
                return try await self.postToken(
                    service, realm, call, credential, [("grant_type", "refresh_token"), ("refresh_token", refresh)])
            } catch let error as UpstreamError where error.code == .denied {
                // One that was given to us may have ended; the password may still do.
                call.endpoint.tokens.remember(refreshToken: nil, of: credential.username)
                guard case .password = credential.secret else { throw error }
            }
        }
        guard case .password(let password) = credential.secret else {
            throw UpstreamError(.denied, "\(service.host) refuses the identity token")
        }
        do {
            let response = try await self.getToken(service, realm, call, credential)
            return response.cached
        } catch let error as NoSuchMethod {
            // A service that speaks OAuth2 alone.
            self.logger.debug("A token service wants POST", metadata: ["status": "\(error.status)"])
            return try await self.postToken(
                service, realm, call, credential,
                [("grant_type", "password"), ("username", credential.username), ("password", password)])
        }
    }

    private static func identityToken(_ credential: Credential) -> String? {
        if case .identityToken(let token) = credential.secret { token } else { nil }
    }

    /// A token service has no GET.
    private struct NoSuchMethod: Error {
        let status: UInt
    }

    /// `GET REALM?service=…&scope=…`, with the Basic scheme when there is somebody to name.
    private func getToken(
        _ service: TokenService, _ realm: TokenCache.Realm, _ call: Call, _ credential: Credential?
    ) async throws -> TokenResponse {
        var components = service.components
        var items = components.queryItems ?? []
        if let service = realm.service { items.append(URLQueryItem(name: "service", value: service)) }
        if !call.scope.isEmpty { items.append(URLQueryItem(name: "scope", value: call.scope)) }
        if let credential { items.append(URLQueryItem(name: "account", value: credential.username)) }
        components.queryItems = items
        guard let url = components.url?.absoluteString else {
            throw UpstreamError(.invalidResponse, self.say("asks for a token from a malformed address"))
        }
        var headers = Self.tokenHeaders
        if let basic = credential?.basic { headers.add(name: "authorization", value: basic) }
        let response = try await self.send(
            .GET, url, headers, service.reach, call.endpoint, kind: call.kind, limit: Limits.Upstream.token,
            deadline: call.deadline
        ) { _ in nil }
        if credential != nil, [404, 405].contains(response.head.status.code) {
            throw NoSuchMethod(status: response.head.status.code)
        }
        return try Self.tokenResponse(response, service, call)
    }

    /// `POST REALM` with a form: distribution, "Oauth2 Token Authentication".
    private func postToken(
        _ service: TokenService, _ realm: TokenCache.Realm, _ call: Call, _ credential: Credential, _ grant: [(String, String)]
    ) async throws -> TokenCache.Token {
        guard let url = service.components.url?.absoluteString else {
            throw UpstreamError(.invalidResponse, self.say("asks for a token from a malformed address"))
        }
        let fields =
            grant + [("service", realm.service ?? service.host), ("client_id", "amargo")]
            + (call.scope.isEmpty ? [] : [("scope", call.scope)])
        let form = fields.map { "\($0.0)=\(Self.formEncoded($0.1))" }.joined(separator: "&")
        var headers = Self.tokenHeaders
        headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        let response = try await self.send(
            .POST, url, headers, body: ByteBuffer(string: form), service.reach, call.endpoint, kind: call.kind,
            limit: Limits.Upstream.token,
            deadline: call.deadline
        ) { _ in nil }
        let answer = try Self.tokenResponse(response, service, call)
        if let refresh = answer.refreshToken, !refresh.isEmpty {
            call.endpoint.tokens.remember(refreshToken: refresh, of: credential.username)
        }
        return answer.cached
    }

    private static let tokenHeaders = HTTPHeaders([
        ("accept", "application/json"), ("accept-encoding", "identity"), ("user-agent", UserAgent.text),
    ])

    /// All but RFC 3986's unreserved characters, percent-encoded.
    private static func formEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += hex.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return encoded
    }

    private static func tokenResponse(
        _ response: ExchangeDelegate.Response, _ service: TokenService, _ call: Call
    ) throws -> TokenResponse {
        let host = service.host
        switch response.head.status.code {
        case 200: return try TokenResponse(parsing: response.body, host: host)
        case 429: throw UpstreamError(.rateLimited(retryAfter: Self.retryAfter(response.head)), "\(host) limits token requests")
        // 400 is how OAuth2 says that a grant is not good: RFC 6749, 5.2.
        case 400, 401, 403:
            throw UpstreamError(.denied, "\(host) refuses a token\(call.scope.isEmpty ? "" : " for \(call.scope)")")
        case 500...:
            throw UpstreamError(.unavailable, "\(host) answered \(response.head.status.code) to a token request")
        default: throw UpstreamError(.invalidResponse, "\(host) answered \(response.head.status.code) to a token request")
        }
    }
}

extension TokenResponse {
    /// Renewed a tenth of its life early, so that none expires on the way.
    fileprivate var cached: TokenCache.Token {
        TokenCache.Token(authorization: "Bearer \(self.token)", expiresAt: .now + .milliseconds(self.lifetime * 900))
    }
}
