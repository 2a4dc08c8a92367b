import OCI
import Synchronization

/// Says whether content may be stored, before it comes: caps, and room on the disk.
package final class CapacityLedger: Sendable {
    /// Why content was last not stored, and when.
    package struct Refusal: Sendable {
        package let reason: String
        package let at: ContinuousClock.Instant
    }

    private let refusal = Mutex<Refusal?>(nil)

    /// The last refusal, if it is not older than a minute.
    package var recentRefusal: Refusal? {
        self.refusal.withLock { $0 }.flatMap { $0.at.duration(to: .now) < .seconds(60) ? $0 : nil }
    }

    private struct Reserved {
        var total: Int64 = 0
        var shares: [Namespace: Int64] = [:]
    }

    /// Bytes that may be set aside in all, whatever the configuration says.
    private static let limit: Int64 = 1 << 62

    private let configuration: StoreConfiguration
    private let catalog: Catalog
    private let root: StoreRoot
    private let overhead: @Sendable () -> Int64
    private let reserved = Mutex(Reserved())

    /// - Parameter overhead: bytes that count for the cap beside the blobs, such as the journal.
    init(
        configuration: StoreConfiguration, catalog: Catalog, root: StoreRoot, overhead: @escaping @Sendable () -> Int64
    ) {
        self.configuration = configuration
        self.catalog = catalog
        self.root = root
        self.overhead = overhead
    }

    /// Sets room aside. Asks the file system, so it belongs on a thread pool.
    ///
    /// - Throws: `StorageError.full`, naming the limit that would be passed.
    package func reserve(_ bytes: Int64, for namespace: Namespace) throws -> Reservation {
        try self.take(bytes, for: namespace)
        return Reservation(ledger: self, namespace: namespace, bytes: bytes)
    }

    fileprivate func take(_ bytes: Int64, for namespace: Namespace) throws {
        do {
            try self.tryToTake(bytes, for: namespace)
        } catch let error as StorageError {
            self.refusal.withLock { $0 = Refusal(reason: error.message, at: .now) }
            throw error
        }
    }

    private func tryToTake(_ bytes: Int64, for namespace: Namespace) throws {
        let free = self.configuration.minFree > 0 ? self.root.availableBytes : nil
        try self.reserved.withLock { reserved in
            // Sizes come from outside: no sum of them may overflow, so the new one stands alone on its side.
            guard bytes <= Self.limit - reserved.total else {
                throw StorageError(.full, "\(bytes) more bytes are more than any disk has")
            }
            let total = self.catalog.total.bytes + self.overhead() + reserved.total
            if self.configuration.maxSize > 0, bytes > self.configuration.maxSize - total {
                throw StorageError(.full, "\(bytes) more bytes would pass store.maxSize (\(self.configuration.maxSize) bytes)")
            }
            if let cap = self.configuration.shares[namespace], cap > 0 {
                let share = self.catalog.share(of: namespace) + reserved.shares[namespace, default: 0]
                guard bytes <= cap - share else {
                    throw StorageError(.full, "\(bytes) more bytes would pass the cap of \(namespace) (\(cap) bytes)")
                }
            }
            if let free, free - reserved.total - bytes < self.configuration.minFree {
                throw StorageError(
                    .full,
                    "\(bytes) more bytes would leave less than store.minFree (\(self.configuration.minFree) bytes) on the disk")
            }
            reserved.total += bytes
            reserved.shares[namespace, default: 0] += bytes
        }
    }

    fileprivate func release(_ bytes: Int64, for namespace: Namespace) {
        self.reserved.withLock { reserved in
            reserved.total -= bytes
            reserved.shares[namespace, default: 0] -= bytes
        }
    }
}

/// Room set aside for a download; given back when the value ends, by which time the catalog counts what was stored.
package struct Reservation: ~Copyable, Sendable {
    /// Downloads of unknown length reserve in steps of this many bytes.
    package static let step: Int64 = 4 << 20

    private let ledger: CapacityLedger
    private let namespace: Namespace
    package private(set) var bytes: Int64

    fileprivate init(ledger: CapacityLedger, namespace: Namespace, bytes: Int64) {
        self.ledger = ledger
        self.namespace = namespace
        self.bytes = bytes
    }

    deinit {
        self.ledger.release(self.bytes, for: self.namespace)
    }

    /// Makes sure that `total` bytes are set aside.
    package mutating func extend(to total: Int64) throws {
        guard total > self.bytes else { return }
        let more = max(total - self.bytes, Self.step)
        try self.ledger.take(more, for: self.namespace)
        self.bytes += more
    }
}
