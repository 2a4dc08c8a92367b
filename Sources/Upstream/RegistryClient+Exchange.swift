import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import OCI

extension RegistryClient {
    /// One request with all that belongs to it: credentials, challenge, redirects. Returns whatever status comes in the end.
    func exchange(
        _ request: RegistryRequest, at endpoint: Endpoint, _ kind: Transport.Kind, limit: Int,
        deadline: ContinuousClock.Instant, judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        let query = request.query.isEmpty ? "" : "?\(request.query)"
        let url = "\(endpoint.address.url(of: request.repository, request.path))\(query)"
        let call = Call(
            endpoint: endpoint, scope: "repository:\(endpoint.address.name(of: request.repository)):pull", kind: kind,
            deadline: deadline)
        let response = try await self.authorized(call) { authorization in
            try await self.send(
                request, to: url, endpoint.isMirror ? .trusted : .home, endpoint, authorization, kind: kind, limit: limit,
                deadline: deadline, judge)
        }
        return try await self.followRedirects(response, from: url, request, call, limit: limit, judge)
    }

    /// What belongs to all requests that one exchange makes.
    struct Call: Sendable {
        let endpoint: Endpoint
        let scope: String
        let kind: Transport.Kind
        let deadline: ContinuousClock.Instant
    }

    /// Follows up to five redirects. Headers are built anew for each: no credentials ever leave for another place.
    private func followRedirects(
        _ first: ExchangeDelegate.Response, from start: String, _ request: RegistryRequest, _ call: Call, limit: Int,
        _ judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        var response = first
        var current = start
        for _ in 0..<Limits.Upstream.redirects {
            guard [301, 302, 303, 307, 308].contains(response.head.status.code) else { return response }
            guard let location = response.head.headers.first(name: "location"),
                let target = URL(string: location, relativeTo: URL(string: current))?.absoluteURL, let scheme = target.scheme,
                let host = target.host, !host.isEmpty, target.user == nil
            else { throw UpstreamError(.invalidResponse, self.say("redirects to nowhere")) }
            guard scheme == "https" || scheme == "http" && !current.hasPrefix("https:") else {
                throw UpstreamError(.invalidResponse, self.say("redirects to \(scheme)://\(host), which is not followed"))
            }
            current = target.absoluteString
            do {
                response = try await self.send(
                    request, to: current, self.reach(of: target, call.endpoint), call.endpoint, nil, kind: call.kind,
                    limit: limit,
                    deadline: call.deadline, judge)
            } catch let error as UpstreamError {
                throw error.ofOthers
            }
            response.isElsewhere = true
            // Credentials do not follow: who is asked by http and answers by https refuses everybody.
            if response.head.status == .unauthorized, let place = Self.place(of: target),
                place.host == call.endpoint.address.host,
                !call.endpoint.address.isSamePlace(as: place)
            {
                throw UpstreamError(
                    .denied,
                    "\(call.endpoint.address.authority) redirects to \(place), which wants credentials, and none are sent along: configure that as its address"
                )
            }
        }
        guard ![301, 302, 303, 307, 308].contains(response.head.status.code) else {
            throw UpstreamError(.invalidResponse, self.say("redirects more than \(Limits.Upstream.redirects) times"))
        }
        return response
    }

    /// Whether a place is the registry itself, or one that the configuration names.
    func reach(of url: URL, _ endpoint: Endpoint) -> Transport.Reach {
        guard let place = Self.place(of: url) else { return .away }
        if endpoint.address.isSamePlace(as: place) { return endpoint.isMirror ? .trusted : .home }
        let port = place.port ?? (place.isSecure ? 443 : 80)
        let isNamed = self.configuration.authHosts.contains { $0 == place.authority || $0 == "\(place.host):\(port)" }
        return isNamed ? .trusted : .away
    }

    /// Scheme, host and port of a URL; nil for what no upstream can have.
    static func place(of url: URL) -> UpstreamAddress? {
        guard let scheme = url.scheme?.lowercased(), let host = url.host?.lowercased() else { return nil }
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        let port = url.port.map { ":\($0)" } ?? ""
        let text = "\(scheme)://\(name)\(port)"
        guard let address = UpstreamAddress(text) else { return nil }
        let isUsual = address.port == (address.isSecure ? 443 : 80)
        return isUsual ? UpstreamAddress("\(scheme)://\(name)") : address
    }

    /// One request and one response.
    private func send(
        _ request: RegistryRequest, to url: String, _ reach: Transport.Reach, _ endpoint: Endpoint, _ authorization: String?,
        kind: Transport.Kind, limit: Int, deadline: ContinuousClock.Instant, _ judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        var headers = HTTPHeaders([
            ("accept", request.accept), ("accept-encoding", "identity"), ("user-agent", UserAgent.text),
        ])
        if case .from(let first, let last) = request.range {
            headers.add(name: "range", value: "bytes=\(first)-\(last.map { String($0) } ?? "")")
        }
        if let authorization { headers.add(name: "authorization", value: authorization) }
        return try await self.send(
            request.method, url, headers, reach, endpoint, kind: kind, limit: limit, deadline: deadline, judge: judge)
    }

    func send(
        _ method: HTTPMethod, _ url: String, _ headers: HTTPHeaders, body: ByteBuffer? = nil, _ reach: Transport.Reach,
        _ endpoint: Endpoint, kind: Transport.Kind, limit: Int, deadline: ContinuousClock.Instant,
        judge: @escaping ExchangeDelegate.Judge
    ) async throws -> ExchangeDelegate.Response {
        let remaining = ContinuousClock.now.duration(to: deadline)
        guard remaining > .zero else {
            throw UpstreamError(.timeout, "there was no time left to ask \(endpoint.address.authority)").ofOthers
        }
        let delegate = ExchangeDelegate(
            limit: limit, headTimeout: min(remaining, self.configuration.headTimeout), bodyTimeout: remaining,
            stallTimeout: self.configuration.stallTimeout, bandwidth: self.bandwidth, status: self.status, judge: judge)
        let place = URL(string: url).flatMap { Self.place(of: $0) }
        let host = place?.authority ?? self.configuration.address.authority
        do {
            guard let place else { throw UpstreamError(.invalidResponse, self.say("leads to a place that is not asked")) }
            let client = try endpoint.transport.client(
                kind, reach, host: place.host, port: place.port ?? (place.isSecure ? 443 : 80), isSecure: place.isSecure)
            let request = try HTTPClient.Request(url: url, method: method, headers: headers, body: body.map { .byteBuffer($0) })
            self.status.requested()
            let task = client.execute(request: request, delegate: delegate, logger: self.logger)
            delegate.watch(task)
            let response = try await withTaskCancellationHandler {
                try await task.get()
            } onCancel: {
                task.cancel()
            }
            let fields = response.head.headers
            // A mirror, or the host of a redirect, counts its own.
            let speaksForRegistry = reach == .home && !endpoint.isMirror
            self.status.answered(
                speaksForRegistry
                    ? RateLimit(
                        remaining: fields.first(name: "ratelimit-remaining"), limit: fields.first(name: "ratelimit-limit"))
                    : nil)
            return response
        } catch {
            let failure = Self.describe(error, host: host)
            guard delegate.hasReceiver, failure.code != .cancelled else { throw failure }
            throw BodyFailure(error: Self.interrupted(failure), isOurs: delegate.hasReceiverFailed)
        }
    }

    private static func interrupted(_ error: UpstreamError) -> UpstreamError {
        switch error.code {
        case .timeout, .unreachable, .unavailable: UpstreamError(.interrupted, error.message)
        default: error
        }
    }
}
