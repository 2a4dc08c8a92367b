import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI

/// Asks each place of a registry once, without retries, and takes note of each step.
///
/// Nothing is pulled: the version check and a token are what `docker login` asks for, and HEAD of a manifest costs no pull. Source:
/// Docker's documentation, "Pull usage and limits".
extension RegistryClient {
    /// - Parameters:
    ///   - patience: for all of it.
    ///   - now: Unix seconds.
    /// - Returns: mirrors first, the registry itself last.
    package func probe(
        within patience: Duration, group: any EventLoopGroup, now: @escaping @Sendable () -> Int64
    ) async -> [RegistryProbe] {
        await withTaskGroup(of: (Int, RegistryProbe).self) { tasks in
            for (index, endpoint) in self.endpoints.enumerated() {
                tasks.addTask {
                    var run = ProbeRun(client: self, endpoint: endpoint, patience: patience, group: group, now: now)
                    await run.run()
                    return (index, run.probe)
                }
            }
            var probes: [(Int, RegistryProbe)] = []
            for await probe in tasks { probes.append(probe) }
            return probes.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }
}

private struct ProbeRun {
    let client: RegistryClient
    let endpoint: Endpoint
    let group: any EventLoopGroup
    let now: @Sendable () -> Int64
    let patience: Duration
    let deadline: ContinuousClock.Instant
    var probe: RegistryProbe

    init(
        client: RegistryClient, endpoint: Endpoint, patience: Duration, group: any EventLoopGroup,
        now: @escaping @Sendable () -> Int64
    ) {
        self.client = client
        self.endpoint = endpoint
        self.group = group
        self.now = now
        self.patience = patience
        self.deadline = .now + patience
        self.probe = RegistryProbe(address: endpoint.address, isMirror: endpoint.isMirror)
    }

    private var address: UpstreamAddress { self.endpoint.address }

    private var remaining: Duration { max(.milliseconds(1), ContinuousClock.now.duration(to: self.deadline)) }

    mutating func run() async {
        let host = self.address.host.hasPrefix("[") ? String(self.address.host.dropFirst().dropLast()) : self.address.host
        let port = self.address.port ?? (self.address.isSecure ? 443 : 80)
        let proxy = self.client.configuration.proxy?.server(for: self.address.host, port: port, isSecure: self.address.isSecure)
        self.probe.proxy = proxy?.description
        do {
            try await self.connect(proxy?.host ?? host, proxy?.port ?? port, isProxy: proxy != nil)
            let response = try await self.askVersion(nil)
            try await self.judge(response)
        } catch let failure as RegistryProbe.Failure {
            var failure = failure
            if self.address.isSecure, proxy == nil, self.probe.latency == nil, failure.step == .tls || failure.step == .answer {
                let shown = await CertificateFacts.shown(by: host, port: port, within: .seconds(1), group: self.group)
                // Who shows no certificate has not come so far as to answer.
                if shown == nil, failure.step == .answer {
                    failure = .init(.tls, "\(self.address.authority) shows no certificate: \(failure.message)")
                }
                if failure.step == .tls { failure.certificate = shown }
            }
            self.probe.failure = failure
        } catch {
            self.probe.failure = .init(.answer, "\(error)")
        }
    }

    // MARK: - The way there

    private func connect(_ host: String, _ port: Int, isProxy: Bool) async throws {
        let who = isProxy ? "the proxy \(host)" : host
        let limit = self.remaining
        do {
            let isKnown = try await BoundedWork.run(within: limit) {
                _ = try SocketAddress.makeAddressResolvingHost(host, port: port)
                return true
            }
            if isKnown == nil {
                throw RegistryProbe.Failure(.name, "\(who): no name server has answered within \(limit.seconds) s")
            }
        } catch let failure as RegistryProbe.Failure {
            throw failure
        } catch {
            throw RegistryProbe.Failure(.name, "\(who) cannot be resolved")
        }
        let timeout = min(self.remaining, self.client.configuration.connectTimeout)
        do {
            let channel = try await ClientBootstrap(group: self.group).connectTimeout(TimeAmount(timeout))
                .connect(host: host, port: port).get()
            channel.close(promise: nil)
        } catch let error as NIOConnectionError {
            let reason = error.connectionErrors.first.map { RegistryClient.reason($0.error) }
            throw RegistryProbe.Failure(
                .connection, "\(who) port \(port): \(reason ?? "no connection within \(timeout.seconds) s")")
        } catch is ChannelError {
            throw RegistryProbe.Failure(.connection, "\(who) port \(port): no connection within \(timeout.seconds) s")
        } catch {
            throw RegistryProbe.Failure(.connection, "\(who) port \(port): \(RegistryClient.reason(error))")
        }
    }

    /// `GET /v2/`: distribution spec, "Determining Support".
    private mutating func askVersion(_ authorization: String?) async throws -> ExchangeDelegate.Response {
        try await self.ask(.GET, self.probe.versionURL, authorization)
    }

    private mutating func ask(
        _ method: HTTPMethod, _ url: String, _ authorization: String?
    ) async throws -> ExchangeDelegate.Response {
        var headers = HTTPHeaders([
            ("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", UserAgent.text),
        ])
        if let authorization { headers.add(name: "authorization", value: authorization) }
        let start = ContinuousClock.now
        let response: ExchangeDelegate.Response
        do {
            response = try await self.client.send(
                method, url, headers, self.endpoint.isMirror ? .trusted : .home, self.endpoint, kind: .metadata,
                limit: Limits.Upstream.errorDocument, deadline: self.deadline
            ) { _ in nil }
        } catch let error as UpstreamError {
            let isTLS = self.address.isSecure && error.code == .unreachable && error.message.contains("TLS")
            throw RegistryProbe.Failure(isTLS ? .tls : .answer, error.message)
        }
        if self.probe.latency == nil { self.probe.latency = start.duration(to: .now) }
        if self.probe.clockOffset == nil, let text = response.head.headers.first(name: "date"),
            let date = RetryAfter.date(text)
        {
            // What a cache on the way has kept is as old as it says: RFC 9111, 5.1.
            let age = response.head.headers.first(name: "age").flatMap { Int64($0) } ?? 0
            self.probe.clockOffset = date + max(0, min(age, 86_400)) - self.now()
        }
        return response
    }

    // MARK: - What it says

    private mutating func judge(_ response: ExchangeDelegate.Response) async throws {
        let head = response.head
        switch head.status.code {
        case 200:
            if head.headers.first(name: "content-type")?.lowercased().hasPrefix("text/html") == true {
                throw RegistryProbe.Failure(
                    .answer, "\(self.address.authority) answers with a web page, not as a registry; is something in between?")
            }
            self.probe.access = .open
        case 300..<400: self.probe.redirect = head.headers.first(name: "location").map { String($0.prefix(200)) } ?? "nowhere"
        case 401: try await self.convince(head)
        case 403: self.probe.access = .forbidden
        case 404:
            throw RegistryProbe.Failure(.answer, "\(self.probe.versionURL) is not there (404): this is no registry's address")
        case 429: self.probe.access = .limited(retryAfter: RegistryClient.retryAfter(head))
        default: throw RegistryProbe.Failure(.answer, "\(self.address.authority) answered \(head.status.code)")
        }
    }

    /// Does what a challenge asks for.
    private mutating func convince(_ head: HTTPResponseHead) async throws {
        let credential: Credential?
        do {
            credential = try await self.client.configuration.credentials?.credential(for: self.address, rejected: nil)
        } catch {
            throw RegistryProbe.Failure(.token, "the credentials cannot be had: \(error)")
        }
        switch self.client.scheme(of: head, hasCredential: true) {
        case .basic:
            guard let credential, let basic = credential.basic else { return self.probe.access = .wanted }
            try await self.conclude(try await self.askVersion(basic), credential, self.address.authority)
        case .bearer(let realm):
            try await self.fetchToken(realm, head, credential)
        case nil:
            throw RegistryProbe.Failure(
                .token, "\(self.address.authority) wants to be convinced in a way that is not known here (Basic and Bearer are)")
        }
    }

    private mutating func fetchToken(_ realm: TokenCache.Realm, _ head: HTTPResponseHead, _ credential: Credential?) async throws
    {
        let place = URL(string: realm.url).flatMap { RegistryClient.place(of: $0) }?.authority ?? realm.url
        if credential != nil, let url = URL(string: realm.url), self.client.reach(of: url, self.endpoint) == .away {
            return self.probe.access = .withheld(host: place)
        }
        // No repository is meant, as with `docker login`; ghcr.io's challenge names one that is not there.
        let asked = head.headers["www-authenticate"].lazy.compactMap { BearerChallenge(parsing: $0)?.scope }.first
        let scope = self.isDockerHub ? Self.limitScope : asked.flatMap { $0.hasPrefix("repository:") ? nil : $0 } ?? ""
        let call = RegistryClient.Call(endpoint: self.endpoint, scope: scope, kind: .metadata, deadline: self.deadline)
        let token: TokenCache.Token
        do {
            token = try await self.client.fetchToken(realm, call, credential)
        } catch let error as UpstreamError {
            switch error.code {
            case .denied: self.probe.access = credential.map { .refused(user: $0.username, by: place) } ?? .reserved
            case .rateLimited(let seconds): self.probe.access = .limited(retryAfter: seconds)
            default: throw RegistryProbe.Failure(.token, error.message)
            }
            return
        }
        if self.isDockerHub {
            self.probe.access = credential.map { .accepted(user: $0.username) } ?? .anonymous
            return try await self.askLimit(token)
        }
        guard let credential else { return self.probe.access = .anonymous }
        try await self.conclude(try await self.askVersion(token.authorization), credential, place)
    }

    private mutating func conclude(_ response: ExchangeDelegate.Response, _ credential: Credential, _ place: String) async throws
    {
        switch response.head.status.code {
        case 401, 403: self.probe.access = .refused(user: credential.username, by: place)
        case 429: self.probe.access = .limited(retryAfter: RegistryClient.retryAfter(response.head))
        case 500...: throw RegistryProbe.Failure(.answer, "\(self.address.authority) answered \(response.head.status.code)")
        default: self.probe.access = .accepted(user: credential.username)
        }
    }

    // MARK: - Docker Hub

    private var isDockerHub: Bool { self.address.host == "registry-1.docker.io" }

    private static let limitRepository = "ratelimitpreview/test"
    private static let limitScope = "repository:\(Self.limitRepository):pull"

    private mutating func askLimit(_ token: TokenCache.Token) async throws {
        let head = try await self.ask(
            .HEAD, "\(self.probe.versionURL)\(Self.limitRepository)/manifests/latest", token.authorization
        ).head
        if head.status == .tooManyRequests { self.probe.access = .limited(retryAfter: RegistryClient.retryAfter(head)) }
        self.probe.rateLimit = RateLimit(
            remaining: head.headers.first(name: "ratelimit-remaining"), limit: head.headers.first(name: "ratelimit-limit"))
    }
}

extension Duration {
    /// For people: `5`, `0.5`.
    fileprivate var seconds: String {
        let tenths = self.components.seconds * 10 + self.components.attoseconds / 100_000_000_000_000_000
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
