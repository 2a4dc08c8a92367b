import AsyncHTTPClient
import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import OCI

extension RegistryClient {
    private static let redirectLimit = 5

    /// One request with all that belongs to it: token, challenge, redirects. Returns whatever status comes in the end.
    func exchange(
        _ request: RegistryRequest, client: HTTPClient, limit: Int, deadline: ContinuousClock.Instant,
        judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        let query = request.query.isEmpty ? "" : "?\(request.query)"
        let url = "\(self.configuration.address)/v2/\(request.repository)/\(request.path)\(query)"
        var token: TokenCache.Token?
        if let realm = self.tokens.realm {
            do {
                token = try await self.tokens.token(for: request.scope, rejected: nil) {
                    try await self.fetchToken(realm, scope: request.scope, client: client, deadline: deadline)
                }
            } catch let error as UpstreamError where error.code != .cancelled {
                // The place may have moved, or no token be needed: the registry says so when it is asked without one.
                self.tokens.forgetRealm()
            }
        }
        var response = try await self.send(
            request, to: url, token: token, client: client, limit: limit, deadline: deadline, judge)
        if response.head.status == .unauthorized, let challenge = self.challenge(of: response.head) {
            let realm = TokenCache.Realm(url: challenge.realm, service: challenge.service)
            let refused = token
            token = try await self.tokens.token(for: request.scope, rejected: refused) {
                try await self.fetchToken(realm, scope: request.scope, client: client, deadline: deadline)
            }
            self.tokens.remember(realm)
            response = try await self.send(
                request, to: url, token: token, client: client, limit: limit, deadline: deadline, judge)
        }
        return try await self.followRedirects(
            response, from: url, request, client: client, limit: limit, deadline: deadline, judge)
    }

    private func challenge(of head: HTTPResponseHead) -> BearerChallenge? {
        head.headers["www-authenticate"].lazy.compactMap { BearerChallenge(parsing: $0) }.first
    }

    /// Follows up to five redirects. Headers are built anew for each: no credentials ever leave for another place.
    private func followRedirects(
        _ first: ExchangeDelegate.Response, from start: String, _ request: RegistryRequest, client: HTTPClient, limit: Int,
        deadline: ContinuousClock.Instant, _ judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        var response = first
        var current = start
        for _ in 0..<Self.redirectLimit {
            guard [301, 302, 303, 307, 308].contains(response.head.status.code) else { return response }
            guard let location = response.head.headers.first(name: "location"),
                let target = URL(string: location, relativeTo: URL(string: current))?.absoluteURL, let scheme = target.scheme,
                let host = target.host, !host.isEmpty, target.user == nil
            else { throw UpstreamError(.invalidResponse, self.say("redirects to nowhere")) }
            guard scheme == "https" || scheme == "http" && !current.hasPrefix("https:") else {
                throw UpstreamError(.invalidResponse, self.say("redirects to \(scheme)://\(host), which is not followed"))
            }
            current = target.absoluteString
            response = try await self.send(
                request, to: current, token: nil, client: client, limit: limit, deadline: deadline, judge)
        }
        guard ![301, 302, 303, 307, 308].contains(response.head.status.code) else {
            throw UpstreamError(.invalidResponse, self.say("redirects more than \(Self.redirectLimit) times"))
        }
        return response
    }

    /// One request and one response.
    private func send(
        _ request: RegistryRequest, to url: String, token: TokenCache.Token?, client: HTTPClient, limit: Int,
        deadline: ContinuousClock.Instant, _ judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        var headers = HTTPHeaders([
            ("accept", request.accept), ("accept-encoding", "identity"), ("user-agent", UserAgent.text),
        ])
        if case .from(let first, let last) = request.range {
            headers.add(name: "range", value: "bytes=\(first)-\(last.map { String($0) } ?? "")")
        }
        if let token { headers.add(name: "authorization", value: token.authorization) }
        return try await self.send(request.method, url, headers, client: client, limit: limit, deadline: deadline, judge)
    }

    private func send(
        _ method: HTTPMethod, _ url: String, _ headers: HTTPHeaders, client: HTTPClient, limit: Int,
        deadline: ContinuousClock.Instant, _ judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        let remaining = ContinuousClock.now.duration(to: deadline)
        guard remaining > .zero else { throw UpstreamError(.timeout, self.say("did not answer in time")) }
        let delegate = ExchangeDelegate(
            limit: limit, headTimeout: min(remaining, self.configuration.headTimeout), bodyTimeout: remaining,
            stallTimeout: self.configuration.stallTimeout, judge: judge)
        let host =
            URL(string: url).flatMap { url in
                url.host.map { host in url.port.map { "\(host):\($0)" } ?? host }
            } ?? self.configuration.address.authority
        do {
            let request = try HTTPClient.Request(url: url, method: method, headers: headers)
            self.status.requested()
            let task = client.execute(request: request, delegate: delegate, logger: self.logger)
            delegate.watch(task)
            let response = try await withTaskCancellationHandler {
                try await task.get()
            } onCancel: {
                task.cancel()
            }
            let remainingPulls = response.head.headers.first(name: "ratelimit-remaining").flatMap { value in
                Int(value.prefix { $0 != ";" })
            }
            self.status.answered(rateLimitRemaining: remainingPulls)
            return response
        } catch {
            let failure = Self.describe(error, host: host)
            throw delegate.hasReceiver && failure.code != .cancelled ? BodyFailure(error: Self.interrupted(failure)) : failure
        }
    }

    private static func interrupted(_ error: UpstreamError) -> UpstreamError {
        switch error.code {
        case .timeout, .unreachable, .unavailable: UpstreamError(.interrupted, error.message)
        default: error
        }
    }

    // MARK: - Tokens

    /// Anonymous token: `GET REALM?service=…&scope=…`. Source: distribution, "Token Authentication Specification".
    private func fetchToken(
        _ realm: TokenCache.Realm, scope: String, client: HTTPClient, deadline: ContinuousClock.Instant
    ) async throws -> TokenCache.Token {
        guard var components = URLComponents(string: realm.url), let host = components.host, !host.isEmpty,
            components.user == nil,
            components.scheme == "https" || components.scheme == "http" && !self.configuration.address.isSecure
        else { throw UpstreamError(.invalidResponse, self.say("asks for a token from a place that is not allowed")) }
        var items = components.queryItems ?? []
        if let service = realm.service { items.append(URLQueryItem(name: "service", value: service)) }
        items.append(URLQueryItem(name: "scope", value: scope))
        components.queryItems = items
        guard let url = components.url?.absoluteString else {
            throw UpstreamError(.invalidResponse, self.say("asks for a token from a malformed address"))
        }
        self.logger.info("[\(self.configuration.name)] Fetching a token from \(host) for \(scope)")
        let headers = HTTPHeaders([
            ("accept", "application/json"), ("accept-encoding", "identity"), ("user-agent", UserAgent.text),
        ])
        let response = try await self.send(.GET, url, headers, client: client, limit: Self.errorLimit, deadline: deadline) { _ in
            nil
        }
        guard response.head.status == .ok else {
            switch response.head.status.code {
            case 429:
                throw UpstreamError(.rateLimited(retryAfter: Self.retryAfter(response.head)), "\(host) limits token requests")
            case 401, 403: throw UpstreamError(.denied, "\(host) refuses a token for \(scope)")
            case 500...: throw UpstreamError(.unavailable, "\(host) answered \(response.head.status.code) to a token request")
            default: throw UpstreamError(.invalidResponse, "\(host) answered \(response.head.status.code) to a token request")
            }
        }
        return try Self.token(in: response.body, host: host)
    }

    private static func token(in body: ByteBuffer, host: String) throws -> TokenCache.Token {
        var value: String?
        var lifetime: Int64 = 60
        do {
            try body.withUnsafeReadableBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch (key, try reader.peek()) {
                        case ("token", .string): value = try reader.string()
                        case ("access_token", .string):
                            let text = try reader.string()
                            value = value ?? text
                        case ("expires_in", .number):
                            // A lifetime that is no integer is replaced by the default, not believed.
                            var copy = reader
                            if let seconds = try? copy.integer() { lifetime = seconds }
                            try reader.skipValue()
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            throw UpstreamError(.unavailable, "\(host) sent a token response that cannot be read: it \(error)")
        }
        guard let value, !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw UpstreamError(.unavailable, "\(host) sent a token response without a token")
        }
        // Renewed a tenth of its life early, so that none expires on the way.
        let seconds = min(max(lifetime, 10), 3600)
        return TokenCache.Token(authorization: "Bearer \(value)", expiresAt: .now + .milliseconds(seconds * 900))
    }

    // MARK: - Errors

    static func retryAfter(_ head: HTTPResponseHead) -> Int? {
        head.headers.first(name: "retry-after").flatMap { Int($0) }.map { min(max($0, 0), 86_400) }
    }

    /// What a response that is not the content means.
    func error(for response: ExchangeDelegate.Response, _ request: RegistryRequest) -> UpstreamError {
        let code = Int(response.head.status.code)
        let what = "\(request.repository)/\(request.path)"
        switch code {
        case 404: return UpstreamError(.notFound(Self.errorCode(in: response.body)), self.say("has no \(what)"))
        case 401, 403: return UpstreamError(.denied, self.say("denies access to \(what) (status \(code))"))
        case 416: return UpstreamError(.rangeIgnored, self.say("has no such range of \(what)"))
        case 429:
            return UpstreamError(.rateLimited(retryAfter: Self.retryAfter(response.head)), self.say("limits our requests (429)"))
        case 408: return UpstreamError(.timeout, self.say("answered 408"))
        case 504: return UpstreamError(.timeout, self.say("answered 504"))
        // 501 is no weather: the registry does not know the method, and never will.
        case 500, 502...: return UpstreamError(.unavailable, self.say("answered \(code)"))
        default: return UpstreamError(.invalidResponse, self.say("answered \(code) to a request for \(what)"))
        }
    }

    private static func errorCode(in body: ByteBuffer) -> RegistryErrorCode? {
        var code: RegistryErrorCode?
        do {
            try body.withUnsafeReadableBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        guard key == "errors", try reader.peek() == .array else { return try reader.skipValue() }
                        try reader.array { reader in
                            try reader.object { reader, key in
                                guard key == "code", try reader.peek() == .string else { return try reader.skipValue() }
                                let text = try reader.string()
                                code = code ?? RegistryErrorCode(rawValue: text)
                            }
                        }
                    }
                }
            }
        } catch {
            return nil  // an error page is not a document of ours to read
        }
        return code
    }

    private static func describe(_ error: any Error, host: String) -> UpstreamError {
        switch error {
        case let error as UpstreamError:
            return error.message.hasPrefix(host) ? error : UpstreamError(error.code, "\(host) \(error.message)")
        case is CancellationError: return UpstreamError(.cancelled, "the request to \(host) was cancelled")
        case let error as HTTPClientError:
            switch error {
            case .cancelled: return UpstreamError(.cancelled, "the request to \(host) was cancelled")
            case .connectTimeout: return UpstreamError(.unreachable, "\(host) cannot be reached: no connection in time")
            case .tlsHandshakeTimeout: return UpstreamError(.unreachable, "\(host) cannot be reached: no TLS handshake in time")
            case .readTimeout, .writeTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout:
                return UpstreamError(.timeout, "\(host) did not answer in time")
            case .remoteConnectionClosed: return UpstreamError(.interrupted, "\(host) closed the connection")
            default: return UpstreamError(.invalidResponse, "\(host): \(error.shortDescription)")
            }
        case let error as NIOConnectionError:
            if error.dnsAError != nil || error.dnsAAAAError != nil, error.connectionErrors.isEmpty {
                return UpstreamError(.unreachable, "\(host) cannot be resolved")
            }
            let reason = error.connectionErrors.first.map { Self.reason($0.error) } ?? "no address answers"
            return UpstreamError(.unreachable, "\(host) cannot be reached: \(reason)")
        case let error as NIOSSLError: return UpstreamError(.unreachable, "\(host) cannot be reached: TLS failed (\(error))")
        case let error as NIOSSLExtraError: return UpstreamError(.unreachable, "\(host) cannot be reached: TLS failed (\(error))")
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            return UpstreamError(.unreachable, "\(host) cannot be reached: \(Self.reason(error))")
        case let error as IOError: return UpstreamError(.interrupted, "\(host): \(Self.reason(error))")
        case let error as HTTPParserError:
            let code: UpstreamError.Code = error == .invalidEOFState ? .interrupted : .invalidResponse
            return UpstreamError(code, "\(host) sent a response that cannot be read (\(error))")
        default: return UpstreamError(.invalidResponse, "\(host): \(error)")
        }
    }
}

extension RegistryClient {
    /// A system call's error without the call.
    fileprivate static func reason(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode)).lowercased()
    }
}

/// How this program names itself.
package enum UserAgent {
    package static let version = "0.1.0"
    package static let text = "amargo/\(Self.version)"
}
