import OCI
import Synchronization

/// Says whether content may be stored, before it comes: caps, and room on the disk. Makes room by eviction when there is none.
///
/// What counts for `store.maxSize`: blobs by the blocks they take, everything else in the store (see `overhead`), and what is set
/// aside for what is coming. A reservation is at least what its spool file takes, so that file is counted once.
package final class CapacityLedger: Sendable {
    /// Why content was last not stored, and when.
    package struct Refusal: Sendable {
        package let reason: String
        package let at: ContinuousClock.Instant
    }

    private struct Reserved {
        var total: Int64 = 0
        /// How much of it is on the disk already.
        var written: Int64 = 0
        var shares: [Namespace: Int64] = [:]
    }

    /// What keeps content from being stored.
    package enum Obstacle: Int, CaseIterable, Sendable {
        /// `store.maxSize`.
        case maxSize
        /// The cap of one registry.
        case share
        /// `store.minFree`.
        case minFree
        /// Nothing can be stored at all: the folder is gone.
        case unusable
    }

    /// A limit that would be passed, and by how much.
    private struct Shortage {
        let obstacle: Obstacle
        let error: StorageError
        /// Bytes that have to go; nil when no eviction helps.
        let missing: Int64?
        let namespace: Namespace?
    }

    /// Bytes that may be set aside in all, whatever the configuration says.
    private static let limit: Int64 = 1 << 62
    /// What a new blob adds beside its bytes: names in folders, a line in the journal.
    private static let margin = DiskSpace.block

    private let refusal = Mutex<Refusal?>(nil)
    private let refusals: InlineArray<4, Atomic<Int64>>
    private let settings: Mutex<StoreConfiguration>
    private let catalog: Catalog
    private let root: StoreRoot
    private let overhead: @Sendable () -> Int64
    private let reserved = Mutex(Reserved())
    private let makeRoom = Mutex<(@Sendable (_ bytes: Int64, _ namespace: Namespace?) -> Int64)?>(nil)
    private let closure = Mutex<StorageError?>(nil)
    /// Held for as long as an eviction takes, on threads of the pool alone.
    private let evicting = Mutex(())

    /// - Parameter overhead: bytes that count for the cap beside the blobs, such as the journal.
    init(
        configuration: StoreConfiguration, catalog: Catalog, root: StoreRoot, overhead: @escaping @Sendable () -> Int64
    ) {
        self.settings = Mutex(configuration)
        self.catalog = catalog
        self.root = root
        self.overhead = overhead
        self.refusals = InlineArray { _ in Atomic(0) }
    }

    /// The caps in force.
    var configuration: StoreConfiguration {
        get { self.settings.withLock { $0 } }
        set { self.settings.withLock { $0 = newValue } }
    }

    /// How often something was not stored since this process began.
    func refusals(for obstacle: Obstacle) -> Int64 { self.refusals[obstacle.rawValue].load(ordering: .relaxed) }

    /// What is there beyond the caps, in bytes, such as after a cap was lowered; nil stands for the whole store.
    ///
    /// - Parameter freed: bytes that are going anyway.
    func excesses(besides freed: Int64) -> [(Namespace?, Int64)] {
        var excesses: [(Namespace?, Int64)] = []
        let configuration = self.configuration
        for (namespace, cap) in configuration.shares.sorted(by: { $0.key.description < $1.key.description }) where cap > 0 {
            let excess = self.catalog.share(of: namespace) - cap
            if excess > 0 { excesses.append((namespace, excess)) }
        }
        var missing: Int64 = 0
        if configuration.maxSize > 0 { missing = self.usedBytes + self.reservedBytes - configuration.maxSize }
        if configuration.minFree > 0, let free = self.root.availableBytes {
            missing = max(missing, Self.missing(configuration.minFree, self.comingBytes, free) ?? 0)
        }
        if missing - freed > 0 { excesses.append((nil, missing - freed)) }
        return excesses
    }

    /// Who is asked to make room; returns the bytes that came free. Blocks.
    func evict(with makeRoom: @escaping @Sendable (_ bytes: Int64, _ namespace: Namespace?) -> Int64) {
        self.makeRoom.withLock { $0 = makeRoom }
    }

    /// Refuses everything for a reason, or with nil no longer.
    func close(for reason: StorageError?) { self.closure.withLock { $0 = reason } }

    /// The last refusal, if it is not older than a minute.
    package var recentRefusal: Refusal? {
        self.refusal.withLock { $0 }.flatMap { $0.at.duration(to: .now) < .seconds(60) ? $0 : nil }
    }

    /// Bytes of the disk that count for `store.maxSize`, without what is set aside.
    package var usedBytes: Int64 { self.catalog.total.allocated + self.overhead() }

    /// Bytes that are set aside for what is coming.
    package var reservedBytes: Int64 { self.reserved.withLock { $0.total } }

    /// As `reservedBytes`, without what is on the disk already.
    var comingBytes: Int64 { self.reserved.withLock { $0.total - $0.written } }

    /// Sets room aside, evicting what was pulled least recently when there is none. Blocks, for as long as an eviction takes.
    ///
    /// - Throws: `StorageError.full`, naming the limit that would be passed.
    package func reserve(_ bytes: Int64, for namespace: Namespace) throws -> Reservation {
        let footprint = Self.footprint(bytes)
        try self.take(footprint, for: namespace)
        return Reservation(ledger: self, namespace: namespace, bytes: footprint)
    }

    /// Sets aside what is taken already: content that has lost its name and is still being read.
    func hold(_ bytes: Int64, for namespace: Namespace) -> Reservation {
        self.reserved.withLock { reserved in
            reserved.total += bytes
            reserved.written += bytes
            reserved.shares[namespace, default: 0] += bytes
        }
        let reservation = Reservation(ledger: self, namespace: namespace, bytes: bytes, written: bytes)
        return reservation
    }

    fileprivate static func footprint(_ bytes: Int64) -> Int64 {
        let allocated = DiskSpace.allocated(bytes)
        return allocated > Self.limit ? allocated : allocated + Self.margin
    }

    fileprivate func take(_ bytes: Int64, for namespace: Namespace) throws {
        var obstacle = Obstacle.unusable
        do {
            if let error = self.closure.withLock({ $0 }) { throw error }
            obstacle = .maxSize
            guard try self.shortage(of: bytes, for: namespace) != nil else { return }
            // One eviction at a time: what it frees may do for all who wait.
            try self.evicting.withLock { _ in
                var attempts = 0
                while let shortage = try self.shortage(of: bytes, for: namespace) {
                    obstacle = shortage.obstacle
                    attempts += 1
                    guard attempts <= 3, let missing = shortage.missing, let makeRoom = self.makeRoom.withLock({ $0 }),
                        makeRoom(missing, shortage.namespace) > 0
                    else { throw shortage.error }
                }
            }
        } catch let error as StorageError {
            self.refusal.withLock { $0 = Refusal(reason: error.message, at: .now) }
            self.refusals[obstacle.rawValue].wrappingAdd(1, ordering: .relaxed)
            throw error
        }
    }

    /// Sets the bytes aside and returns nil, or says what they would pass.
    private func shortage(of bytes: Int64, for namespace: Namespace) throws -> Shortage? {
        let configuration = self.configuration
        let (maxSize, minFree) = (configuration.maxSize, configuration.minFree)
        return try self.reserved.withLock { reserved -> Shortage? in
            // All of them at one moment: what is published between two looks would count nowhere.
            let free = minFree > 0 ? self.root.availableBytes : nil
            let used = self.usedBytes
            // Sizes come from outside: no sum of them may overflow, so the new one stands alone on its side.
            guard bytes <= Self.limit - reserved.total else {
                throw StorageError(.full, "\(bytes) more bytes are more than any disk has")
            }
            if maxSize > 0, bytes > maxSize - used - reserved.total {
                return Shortage(
                    obstacle: .maxSize,
                    error: StorageError(.full, "\(bytes) more bytes would pass store.maxSize (\(maxSize) bytes)"),
                    missing: bytes > maxSize / 2 ? nil : used + reserved.total + bytes - maxSize, namespace: nil)
            }
            if let cap = configuration.shares[namespace], cap > 0 {
                let share = self.catalog.share(of: namespace) + reserved.shares[namespace, default: 0]
                if bytes > cap - share {
                    return Shortage(
                        obstacle: .share,
                        error: StorageError(.full, "\(bytes) more bytes would pass the cap of \(namespace) (\(cap) bytes)"),
                        missing: bytes > cap / 2 ? nil : share + bytes - cap, namespace: namespace)
                }
            }
            let coming = reserved.total - reserved.written
            if let free, free - coming - bytes < minFree {
                return Shortage(
                    obstacle: .minFree,
                    error: StorageError(
                        .full, "\(bytes) more bytes would leave less than store.minFree (\(minFree) bytes) on the disk"),
                    missing: Self.missing(minFree, coming + bytes, free), namespace: nil)
            }
            reserved.total += bytes
            reserved.shares[namespace, default: 0] += bytes
            return nil
        }
    }

    /// What an eviction has to free for `minFree`; nil when that is more than the store has.
    private static func missing(_ minFree: Int64, _ coming: Int64, _ free: Int64) -> Int64? {
        let (sum, overflow) = minFree.addingReportingOverflow(coming)
        return overflow ? nil : sum - free
    }

    fileprivate func release(_ bytes: Int64, written: Int64, for namespace: Namespace) {
        self.reserved.withLock { reserved in
            reserved.total -= bytes
            reserved.written -= written
            reserved.shares[namespace, default: 0] -= bytes
        }
    }

    fileprivate func note(written bytes: Int64) { self.reserved.withLock { $0.written += bytes } }
}

/// Room set aside for a download; given back when the value ends, by which time the catalog counts what was stored.
package struct Reservation: ~Copyable, Sendable {
    /// Downloads of unknown length reserve in steps of this many bytes.
    package static let step: Int64 = 4 << 20

    private let ledger: CapacityLedger
    private let namespace: Namespace
    package private(set) var bytes: Int64
    private var written: Int64

    fileprivate init(ledger: CapacityLedger, namespace: Namespace, bytes: Int64, written: Int64 = 0) {
        self.ledger = ledger
        self.namespace = namespace
        self.bytes = bytes
        self.written = written
    }

    deinit {
        self.ledger.release(self.bytes, written: self.written, for: self.namespace)
    }

    /// Makes sure that `total` bytes are set aside. Blocks, as `reserve` does.
    package mutating func extend(to total: Int64) throws {
        let footprint = CapacityLedger.footprint(total)
        guard footprint > self.bytes else { return }
        let more = max(footprint - self.bytes, Self.step)
        try self.ledger.take(more, for: self.namespace)
        self.bytes += more
    }

    /// Sets so many bytes more aside, no more than that. Blocks, as `reserve` does.
    package mutating func add(_ bytes: Int64) throws {
        try self.ledger.take(bytes, for: self.namespace)
        self.bytes += bytes
    }

    /// Gives a part back: that much of the content is stored, and counts as such.
    package mutating func release(_ bytes: Int64) {
        let part = min(CapacityLedger.footprint(bytes), self.bytes)
        let wrote = min(part, self.written)
        self.ledger.release(part, written: wrote, for: self.namespace)
        self.bytes -= part
        self.written -= wrote
    }

    /// Notes how much of the content is on the disk by now, so that it does not count twice for `minFree`.
    package mutating func note(written total: Int64) {
        let more = min(total, self.bytes) - self.written
        guard more > 0 else { return }
        self.ledger.note(written: more)
        self.written += more
    }
}
