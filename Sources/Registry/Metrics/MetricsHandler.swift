import NIOCore
import Synchronization

/// `/metrics`: all that is counted, for Prometheus.
///
/// The work is done off the event loops. Who asks while it is being done is given the same text: a hundred that ask at once cost one.
final class MetricsHandler: Sendable {
    typealias Waiter = @Sendable (ByteBuffer) -> Void

    private let submit: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let makeText: @Sendable () -> ByteBuffer
    /// Those who wait for the text that is being made; nil while none is.
    private let waiters = Mutex<[Waiter]?>(nil)

    /// - Parameters:
    ///   - submit: runs work on a thread that may block.
    ///   - makeText: looks at everything.
    init(
        submit: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void, makeText: @escaping @Sendable () -> ByteBuffer
    ) {
        self.submit = submit
        self.makeText = makeText
    }

    func answer(_ exchange: Exchange) {
        self.text(
            then: exchange.resuming { (text: ByteBuffer) in
                var head = ResponseHead(.ok)
                head.add("content-type", MetricsText.contentType)
                head.add("content-length", String(text.readableBytes))
                head.add("cache-control", "no-store")
                exchange.respond(head, .bytes(text))
            })
    }

    func text(then respond: @escaping Waiter) {
        let isFirst = self.waiters.withLock { waiters in
            defer { waiters = (waiters ?? []) + [respond] }
            return waiters == nil
        }
        guard isFirst else { return }
        self.submit {
            let text = self.makeText()
            let waiters = self.waiters.withLock { waiters in
                defer { waiters = nil }
                return waiters ?? []
            }
            for respond in waiters { respond(text) }
        }
    }
}
