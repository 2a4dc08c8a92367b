import Logging
import OCI
import ServiceLifecycle
import Storage

/// Keeps the statistics through restarts: looks at the counts every ten seconds, and writes them once a minute and at the end.
package final class TrafficKeeper: Service {
    private let ledger: TrafficLedger
    private let store: ContentStore
    private let logger: Logger
    private let now: @Sendable () -> Int64

    /// - Parameter now: Unix seconds of the wall clock.
    package init(_ ledger: TrafficLedger, store: ContentStore, logger: Logger, now: @escaping @Sendable () -> Int64) {
        self.ledger = ledger
        self.store = store
        self.logger = logger
        self.now = now
    }

    /// Reads what the store has kept. Blocks. Damaged statistics are put aside and begun anew: they are no reason not to serve.
    package static func restore(_ ledger: TrafficLedger, from store: ContentStore, logger: Logger) {
        do {
            guard let bytes = try store.statistics(limit: TrafficFile.limit) else { return }
            ledger.restore(try TrafficFile.decode(bytes))
        } catch {
            logger.warning(
                "The statistics cannot be read and begin anew; the file is kept as \(StoreLayout.badStatistics): \(error)")
            store.putStatisticsAside()
        }
    }

    /// What a store has kept, for those who only read. Blocks.
    ///
    /// - Throws: `JSONError` when it is damaged, `StorageError` when it cannot be read.
    package static func report(in root: StoreRoot, at now: Int64) throws -> TrafficReport {
        guard let bytes = try root.contents(of: StoreLayout.statistics, limit: TrafficFile.limit) else {
            return TrafficReport(TrafficLedger.State(), at: now)
        }
        return TrafficReport(try TrafficFile.decode(bytes), at: now)
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            var rounds = 0
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: .seconds(10))
                    rounds += 1
                    let writes = rounds % 6 == 0
                    try await self.store.run {
                        self.ledger.roll(at: self.now())
                        if writes { self.save() }
                    }
                } catch is CancellationError {
                    return  // the end is asked for
                }
            }
        }
    }

    /// What was counted until the last answer. Called once nothing is answered any more, before the store is closed.
    package func finish() async {
        do {
            try await self.store.run {
                self.ledger.roll(at: self.now())
                self.save()
            }
        } catch {
            self.logger.debug("The last statistics are not written", metadata: ["error": "\(error)"])
        }
    }

    private func save() {
        guard !self.store.isReadOnly, let state = self.ledger.takeChanges() else { return }
        do {
            try self.store.keep(statistics: TrafficFile.encode(state))
        } catch {
            self.ledger.keepChanges()
            self.logger.warning("The statistics are not written, and are tried again in a minute: \(error)")
        }
        self.store.notePulls()
    }
}
