import AsyncHTTPClient
import Logging
import NIOCore
import OCI
import Synchronization

/// The connections to a registry and to the places that it leads to.
///
/// Slow blobs never keep a manifest waiting, so each has a pool of its own; and what the registry leads to is another pool than the
/// registry's: it sees no client certificate, and may not be in a private network unless the registry is.
final class Transport: Sendable {
    enum Kind: Hashable, Sendable {
        case metadata
        case blobs
    }

    enum Reach: Hashable, Sendable {
        /// The registry or mirror itself.
        case home
        /// A place that the configuration names besides: a mirror, a token service.
        case trusted
        /// Where a redirect or a challenge leads.
        case away
    }

    private struct Key: Hashable {
        let kind: Kind
        let reach: Reach
        let proxy: ProxyRules.Server?
    }

    private struct State {
        var clients: [Key: HTTPClient] = [:]
        var isShutDown = false
    }

    private let configuration: UpstreamConfiguration
    private let isMirror: Bool
    private let group: any EventLoopGroup
    private let state = Mutex(State())
    private let home: Neighbourhood

    /// - Parameter address: the place that is asked; it has a transport of its own, so that a mirror next door opens no door to the
    ///   registry's own redirects.
    init(_ configuration: UpstreamConfiguration, of address: UpstreamAddress, isMirror: Bool, group: any EventLoopGroup) {
        self.configuration = configuration
        self.isMirror = isMirror
        self.group = group
        self.home = Neighbourhood(
            isPrivate: configuration.allowsPrivateTargets ?? AddressPolicy.isPrivate(host: address.host),
            isFixed: configuration.allowsPrivateTargets != nil)
    }

    /// Whether the registry itself is in a private network, as far as is known.
    private final class Neighbourhood: Sendable {
        private let state: Mutex<Bool>
        private let isFixed: Bool

        init(isPrivate: Bool, isFixed: Bool) {
            self.state = Mutex(isPrivate)
            self.isFixed = isFixed
        }

        var isPrivate: Bool { self.state.withLock { $0 } }

        func note(_ address: SocketAddress?) {
            guard !self.isFixed, let address, AddressPolicy.isPrivate(address) else { return }
            self.state.withLock { $0 = true }
        }
    }

    /// The client for a request.
    ///
    /// - Throws: `ForbiddenAddress` for a host that is private by its name, where that is not allowed; by its address it is refused when
    ///   it is connected to.
    func client(_ kind: Kind, _ reach: Reach, host: String, port: Int, isSecure: Bool) throws -> HTTPClient {
        if reach == .away, !self.home.isPrivate, AddressPolicy.isPrivate(host: host) { throw ForbiddenAddress(address: host) }
        let proxy = self.configuration.proxy?.server(for: host, port: port, isSecure: isSecure)
        return try self.state.withLock { state in
            if state.isShutDown { throw UpstreamError(.cancelled, "Amargo is stopping") }
            let key = Key(kind: kind, reach: reach, proxy: proxy)
            if let client = state.clients[key] { return client }
            let client = HTTPClient(eventLoopGroupProvider: .shared(self.group), configuration: self.settings(reach, proxy))
            state.clients[key] = client
            return client
        }
    }

    private func settings(_ reach: Reach, _ proxy: ProxyRules.Server?) -> HTTPClient.Configuration {
        var settings = HTTPClient.Configuration()
        settings.httpVersion = .http1Only
        settings.redirectConfiguration = .disallow
        settings.decompression = .disabled
        settings.timeout.connect = TimeAmount(self.configuration.connectTimeout)
        // The exchange watches its own clock: this one would also run while a slow reader holds us back.
        settings.timeout.read = nil
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = self.configuration.connectionLimit
        settings.connectionPool.retryConnectionEstablishment = false
        settings.tlsConfiguration = self.configuration.tls.configuration(isHome: reach == .home)
        let home = self.home
        let prepare: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
            // Large bodies come in large reads, once they have shown to be large.
            channel.setOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2 << 10, initial: 16 << 10, maximum: Limits.Upstream.read))
        }
        settings.http1_1ConnectionDebugInitializer = prepare
        if let proxy {
            // The proxy resolves names: where they lead is its owner's matter.
            settings.proxy = .server(
                host: proxy.host, port: proxy.port, authorization: proxy.credential.flatMap(Self.authorization))
        } else if reach == .home || reach == .trusted && self.isMirror {
            settings.http1_1ConnectionDebugInitializer = { channel in
                home.note(channel.remoteAddress)
                return prepare(channel)
            }
        } else if reach == .away {
            settings.http1_1ConnectionDebugInitializer = { channel in
                guard let address = channel.remoteAddress, AddressPolicy.isPrivate(address), !home.isPrivate else {
                    return prepare(channel)
                }
                channel.close(promise: nil)
                return channel.eventLoop.makeFailedFuture(ForbiddenAddress(address: address.ipAddress ?? "\(address)"))
            }
        }
        return settings
    }

    private static func authorization(_ credential: Credential) -> HTTPClient.Authorization? {
        guard case .password(let password) = credential.secret else { return nil }
        return .basic(username: credential.username, password: password)
    }

    /// Closes every connection; requests under way fail.
    func shutdown(_ logger: Logger) async {
        let clients = self.state.withLock { state in
            state.isShutDown = true
            defer { state.clients = [:] }
            return Array(state.clients.values)
        }
        for client in clients {
            do {
                try await client.shutdown()
            } catch {
                logger.debug("An upstream client did not shut down cleanly", metadata: ["error": "\(error)"])
            }
        }
    }
}
