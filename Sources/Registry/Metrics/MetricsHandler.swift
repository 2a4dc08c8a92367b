import NIOCore
import PullThrough
import Synchronization

/// `/metrics`: all that is counted, for Prometheus.
///
/// The work is done on the store's pool. Who asks while it is being done is given the same text: a hundred that ask at once cost one.
final class MetricsHandler: Sendable {
    private typealias Waiter = @Sendable (ByteBuffer) -> Void

    private let cache: PullThroughCache
    private let makeReport: @Sendable () -> MetricsReport
    /// Those who wait for the text that is being made; nil while none is.
    private let waiters = Mutex<[Waiter]?>(nil)

    init(cache: PullThroughCache, report: @escaping @Sendable () -> MetricsReport) {
        self.cache = cache
        self.makeReport = report
    }

    func answer(_ exchange: Exchange) {
        let respond = exchange.resuming { (text: ByteBuffer) in
            var head = ResponseHead(.ok)
            head.add("content-type", MetricsText.contentType)
            head.add("content-length", String(text.readableBytes))
            head.add("cache-control", "no-store")
            exchange.respond(head, .bytes(text))
        }
        let isFirst = self.waiters.withLock { waiters in
            defer { waiters = (waiters ?? []) + [respond] }
            return waiters == nil
        }
        guard isFirst else { return }
        self.cache.store.look {
            let text = self.makeReport().text
            let waiters = self.waiters.withLock { waiters in
                defer { waiters = nil }
                return waiters ?? []
            }
            for respond in waiters { respond(text) }
        }
    }
}
