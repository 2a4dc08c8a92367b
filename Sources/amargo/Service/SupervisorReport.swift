import PullThrough
import Registry
import ServiceLifecycle
import Storage
import Synchronization

/// Tells the service manager how the server is, for as long as it serves, and when its end begins. The first service to be ended.
final class SupervisorReport: Service {
    /// How often it is looked whether there is news.
    private static let interval = Duration.seconds(5)

    private let supervisor: Supervisor
    private let store: ContentStore
    /// Where it serves.
    private let addresses: [String]
    private let isOffline: Bool
    private let trouble = Mutex<String?>(nil)

    init(_ supervisor: Supervisor, store: ContentStore, addresses: [String], isOffline: Bool) {
        self.supervisor = supervisor
        self.store = store
        self.addresses = addresses
        self.isOffline = isOffline
    }

    /// Says that it serves.
    func ready() async { await self.supervisor.ready(self.text) }

    /// Something that stands in the status until it is over.
    func note(trouble: String?) { self.trouble.withLock { $0 = trouble } }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)  // ended early when the end is asked for
                if !Task.isCancelled { await self.supervisor.status(self.text) }
            }
        }
        await self.supervisor.stopping("Stopping; answers and downloads that are running may end")
    }

    private var text: String {
        let total = self.store.catalog.total
        return Self.text(
            addresses: self.addresses, blobs: total.blobs, bytes: total.bytes, isOffline: self.isOffline,
            degradation: self.store.degradation, trouble: self.trouble.withLock { $0 })
    }

    /// `Serving on http://127.0.0.1:3000: 1,234 blobs, 56 GB`
    static func text(
        addresses: [String], blobs: Int, bytes: Int64, isOffline: Bool, degradation: String?, trouble: String?
    ) -> String {
        let places = addresses.map { "http://\($0)" }.joined(separator: ", ")
        let stored = "\(VerificationPrinter.grouped(Int64(blobs))) blobs, \(Quantity.describe(bytes: bytes))"
        let serving = "serving on \(places)\(isOffline ? ", offline" : ""): \(stored)"
        let all = [degradation.map { "degraded: \($0)" }, trouble, serving].compactMap { $0 }.joined(separator: "; ")
        return all.prefix(1).uppercased() + all.dropFirst()
    }
}
