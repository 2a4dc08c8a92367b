import Glibc
import Logging
import NIOCore

/// Stops accepting for a moment when the process has no descriptor for another connection, and closes idle connections.
///
/// Without it the listening socket stays readable, and its event loop runs in circles at full speed until somebody leaves.
/// NIO's own `AcceptBackoffHandler` delays only the next `read()`, and the present one is still pending.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// Idle connections that are closed in one pause.
    private static let reclaimed = 16

    private let connections: ConnectionSet
    private let pause: Duration
    private let logger: Logger
    private var isPaused = false

    init(connections: ConnectionSet, pause: Duration, logger: Logger) {
        self.connections = connections
        self.pause = pause
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, Self.isShortage(error.errnoCode) else { return context.fireErrorCaught(error) }
        guard !self.isPaused else { return }
        self.isPaused = true
        let closed = self.connections.reclaim(Self.reclaimed)
        self.warn(error.errnoCode, closed)
        self.setAutoRead(false, context)
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(self.pause)) {
            self.isPaused = false
            self.setAutoRead(true, context)
        }
    }

    private static func isShortage(_ code: CInt) -> Bool {
        [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code)
    }

    private func setAutoRead(_ value: Bool, _ context: ChannelHandlerContext) {
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: value)
        } catch {
            // The listener is closed: nothing is accepted any more either way.
            self.logger.debug("Accepting could not be switched", metadata: ["error": "\(error)"])
        }
    }

    private func warn(_ code: CInt, _ closed: Int) {
        guard self.connections.mayWarn(.shortage) else { return }
        self.logger.warning(
            "No descriptor is left for another connection; accepting pauses, idle connections are closed",
            metadata: [
                "reason": "\(String(cString: strerror(code)))", "closed": "\(closed)", "open": "\(self.connections.count)",
            ])
    }
}
