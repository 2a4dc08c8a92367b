import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import PullThrough
import ServiceLifecycle

/// Listens, and ends politely: what is running may finish, up to a deadline.
package final class RegistryServer: Service {
    private let sockets: [ListeningSocket]
    private let resources: RegistryResources
    private let configuration: RegistryConfiguration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let connections: ConnectionSet
    private let whenListening: @Sendable () async -> Void

    /// - Parameters:
    ///   - sockets: bound already, so that a busy address is found before anything else is touched.
    ///   - instruments: what `/metrics` shows of the rest of this process.
    ///   - whenListening: called once, when connections are accepted on all of them.
    package init(
        sockets: [ListeningSocket], cache: PullThroughCache, configuration: RegistryConfiguration, group: any EventLoopGroup,
        instruments: Instruments = Instruments(), hitLog: (any HitLog)? = nil, logger: Logger,
        whenListening: @escaping @Sendable () async -> Void = {}
    ) {
        self.whenListening = whenListening
        self.sockets = sockets
        self.configuration = configuration
        self.group = group
        self.logger = logger
        self.connections = ConnectionSet(limits: configuration.limits)
        self.resources = RegistryResources(
            cache: cache, configuration: configuration, connections: self.connections, instruments: instruments, group: group,
            hitLog: hitLog ?? LoggerHitLog(logger: logger), logger: logger)
    }

    package func run() async throws {
        var listeners: [any Channel] = []
        for socket in self.sockets { listeners.append(try await self.listen(on: socket)) }
        await self.whenListening()
        // A stream that ends when the process is asked to stop.
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        await withGracefulShutdownHandler {
            for await _ in stream {}
        } onGracefulShutdown: {
            continuation.finish()
        }
        for listener in listeners {
            // The listener may have failed by itself; it is closed either way.
            try? await listener.close()
        }
        await self.drain()
    }

    /// Takes note of another configuration: from where `/health` and its like may be seen from now on, and that the cache has other
    /// upstreams. What loops have at hand for the old ones is let go of.
    package func reload(operations: RegistryConfiguration.Reach) { self.resources.reload(operations: operations) }

    /// Cuts every response that is still running.
    package func cut() {
        self.logger.warning("Cutting running responses", metadata: ["count": "\(self.connections.count)"])
        self.connections.closeAll()
    }

    private func listen(on socket: ListeningSocket) async throws -> any Channel {
        let limits = self.configuration.limits
        let connections = self.connections
        let resources = self.resources
        let logger = self.logger
        let descriptor = socket.take()
        let listener = try await ServerBootstrap(group: self.group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptPause(connections: connections, pause: limits.acceptPause, logger: logger))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    switch connections.admit(channel) {
                    case .accepted(let activity):
                        try Self.configure(channel, activity, connections, resources, limits)
                    case .refused:
                        Self.warn(of: channel, connections, logger)
                        try channel.pipeline.syncOperations.addHandler(RefusalHandler(lingering: limits.lingering))
                    case .dropped: channel.close(promise: nil)
                    }
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Limits.Server.readAhead))
            // A client may end its side when it has asked; it is still owed the answer.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .withBoundSocket(descriptor)
            .get()
        // NIO listens anew on a socket that it is given, with a backlog of 128 and whatever the options say.
        _ = Glibc.listen(descriptor, Limits.Server.backlog)
        return listener
    }

    private static func warn(of channel: any Channel, _ connections: ConnectionSet, _ logger: Logger) {
        guard connections.mayWarn(.refusal) else { return }
        let client = channel.remoteAddress?.ipAddress ?? "unknown"
        logger.warning(
            "There are too many connections, of all clients or of one; further ones get 503",
            metadata: ["client": "\(client)", "open": "\(connections.count)"])
    }

    private static func configure(
        _ channel: any Channel, _ activity: ConnectionActivity, _ connections: ConnectionSet, _ resources: RegistryResources,
        _ limits: ServerLimits
    ) throws {
        var decoder = NIOHTTPDecoderLimitConfiguration()
        decoder.maxHeaderFieldSize = Limits.Server.headField
        decoder.maxHeaderListSize = Limits.Server.headBlock
        decoder.maxHeaderFieldCount = Limits.Server.headFields
        let pipeline = channel.pipeline.syncOperations
        // Malformed requests are answered by our own handler, in the form of all other errors.
        try pipeline.configureHTTPServerPipeline(
            withErrorHandling: false, withEncoderConfiguration: .init(), withDecoderLimitConfiguration: decoder)
        let arrival = ArrivalWatch(pipelined: limits.pipelined)
        try pipeline.addHandler(arrival, position: .first)
        let handler = RegistryHandler(
            resources: resources, arrival: arrival, activity: activity, connections: connections, limits: limits)
        try pipeline.addHandler(handler)
        if let answers = resources.answers(on: channel.eventLoop) {
            try pipeline.addHandler(HotPathHandler(answers: answers, connection: handler), position: .first)
        }
    }

    private func drain() async {
        let running = self.connections.drain()
        if running > 0 {
            self.logger.notice("Stopping; running responses may finish", metadata: ["connections": "\(running)"])
        }
        let deadline = ContinuousClock.now + self.configuration.drainTimeout
        while !self.connections.isEmpty {
            if ContinuousClock.now >= deadline {
                self.logger.warning(
                    "Cutting responses that did not end in time", metadata: ["count": "\(self.connections.count)"])
                self.connections.closeAll()
                return
            }
            do {
                try await Task.sleep(for: .milliseconds(20))
            } catch {
                self.connections.closeAll()
                return
            }
        }
    }
}
