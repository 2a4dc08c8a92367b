import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PullThrough
import ServiceLifecycle
import Synchronization

/// Listens, and ends politely: what is running may finish, up to a deadline.
package final class RegistryServer: Service {
    private let sockets: [ListeningSocket]
    private let resources: RegistryResources
    private let configuration: RegistryConfiguration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let connections = ConnectionSet()

    /// - Parameter sockets: bound already, so that a busy address is found before anything else is touched.
    package init(
        sockets: [ListeningSocket], cache: PullThroughCache, configuration: RegistryConfiguration, group: any EventLoopGroup,
        logger: Logger
    ) {
        self.sockets = sockets
        self.configuration = configuration
        self.group = group
        self.logger = logger
        self.resources = RegistryResources(cache: cache, configuration: configuration, logger: logger)
    }

    package func run() async throws {
        var listeners: [any Channel] = []
        for socket in self.sockets { listeners.append(try await self.listen(on: socket)) }
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

    /// Cuts every response that is still running.
    package func cut() {
        self.logger.warning("Cutting running responses", metadata: ["count": "\(self.connections.count)"])
        self.connections.closeAll()
    }

    private func listen(on socket: ListeningSocket) async throws -> any Channel {
        let connections = self.connections
        let resources = self.resources
        return try await ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.insert(channel) else {
                        channel.close(promise: nil)
                        return
                    }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    let arrival = ArrivalWatch()
                    try channel.pipeline.syncOperations.addHandler(arrival, position: .first)
                    try channel.pipeline.syncOperations.addHandler(RegistryHandler(resources: resources, arrival: arrival))
                }
            }
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .withBoundSocket(socket.take())
            .get()
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

/// The connections that are open.
final class ConnectionSet: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isDraining = false
    }

    private let state = Mutex(State())

    var count: Int { self.state.withLock { $0.channels.count } }
    var isEmpty: Bool { self.count == 0 }

    /// False when there are too many already, or no more are wanted.
    func insert(_ channel: any Channel) -> Bool {
        let key = ObjectIdentifier(channel)
        let isAccepted = self.state.withLock { state in
            guard !state.isDraining, state.channels.count < RegistryLimits.connections else { return false }
            state.channels[key] = channel
            return true
        }
        if isAccepted {
            channel.closeFuture.whenComplete { _ in
                self.state.withLock { _ = $0.channels.removeValue(forKey: key) }
            }
        }
        return isAccepted
    }

    /// Tells every connection to end with its present response; returns how many there are.
    func drain() -> Int {
        let channels = self.state.withLock { state in
            state.isDraining = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(DrainEvent()) }
        return channels.count
    }

    func closeAll() {
        let channels = self.state.withLock { Array($0.channels.values) }
        for channel in channels { channel.close(promise: nil) }
    }
}
