import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import Synchronization
import SystemPackage

/// The store's memory: an append-only file of JSON lines that a start replays.
///
/// Whoever has something to say hands it in and goes on; one job at a time on the pool takes all that waits, makes one
/// write and one fdatasync, and wakes those who asked to be. After a failed write or sync the descriptor is dead and
/// never believed again: the whole catalog goes to a new file once, and if that fails too the journal is `degraded`
/// and tries again every ten seconds.
package final class Journal: Sendable {
    /// Writes every record that makes up the present state.
    package typealias Snapshot = @Sendable (_ emit: (JournalRecord) throws -> Void) throws -> Void

    private struct Waiter {
        let line: Int
        let resume: @Sendable ((any Error)?) -> Void
    }

    private struct State {
        var lines: [[UInt8]] = []
        /// How many lines have been taken since the start; a waiter waits for a count.
        var accepted = 0
        var written = 0
        var waiters: [Waiter] = []
        var isFlushing = false
        var isTimerSet = false
        /// Lines have been written that are not synced.
        var isUnsynced = false
        /// The time for that sync has come.
        var isSyncDue = false
        var isClosed = false
        /// Changes whose lines may be written and which the snapshot does not have yet.
        var unapplied = 0
        /// Those who wait for a compaction.
        var compactionWaiters: [@Sendable ((any Error)?) -> Void] = []
        var dropped = 0
        var failure: StorageError?
    }

    /// What only the running job touches; the lock makes that checkable, nobody waits for it.
    private struct File {
        var descriptor: CInt
        var generation: Int64
        var nextSequence: Int64
        var size: Int64
        var liveSize: Int64
        var compactedAt: ContinuousClock.Instant?
    }

    private static let batchLimit = 1 << 20
    private static let queueLimit = 65_536
    private static let lazyDelay = TimeAmount.milliseconds(200)
    private static let retryDelay = TimeAmount.seconds(10)

    private let root: StoreRoot
    private let storeID: String
    private let pool: NIOThreadPool
    private let loop: any EventLoop
    private let logger: Logger
    private let snapshot: Snapshot
    private let state = Mutex(State())
    private let file: Mutex<File>
    private let sizeOnDisk: Atomic<Int64>
    /// How long the disk took to keep what was written.
    let syncs = Histogram(Histogram.disk)
    /// Writes, syncs and rewrites that failed.
    let failures = Atomic<Int64>(0)
    /// How often the present state was written to a new file.
    let rewrites = Atomic<Int64>(0)

    init(
        root: StoreRoot, storeID: String, descriptor: CInt, generation: Int64, lastSequence: Int64, size: Int64, liveSize: Int64,
        pool: NIOThreadPool, loop: any EventLoop, logger: Logger, snapshot: @escaping Snapshot
    ) {
        self.root = root
        self.storeID = storeID
        self.pool = pool
        self.loop = loop
        self.logger = logger
        self.snapshot = snapshot
        self.sizeOnDisk = Atomic(size)
        self.file = Mutex(
            File(
                descriptor: descriptor, generation: generation, nextSequence: lastSequence + 1, size: size, liveSize: liveSize))
    }

    /// A journal that is never written: what is noted is forgotten, what is to be durable is refused.
    convenience init(
        readOnly root: StoreRoot, storeID: String, reason: String, size: Int64, pool: NIOThreadPool, loop: any EventLoop,
        logger: Logger
    ) {
        self.init(
            root: root, storeID: storeID, descriptor: -1, generation: 0, lastSequence: 0, size: size, liveSize: size, pool: pool,
            loop: loop, logger: logger, snapshot: { _ in })
        self.state.withLock { $0.failure = StorageError(.readOnly, reason) }
    }

    deinit {
        self.file.withLock { file in
            if file.descriptor >= 0 { Glibc.close(file.descriptor) }
        }
    }

    /// Bytes of the journal on disk.
    package var size: Int64 { self.sizeOnDisk.load(ordering: .relaxed) }

    /// Why nothing is being written at present; nil when all is well.
    package var failure: StorageError? { self.state.withLock { $0.failure } }

    /// Queues records that a power cut may lose; they are written at once, so that a killed process loses none that was
    /// written, and synced within about 200 ms. Never blocks, never fails.
    package func note(_ records: JournalRecord...) { self.note(records) { true } }

    /// As `note`, for a record whose place among the others matters: what `apply` changes is seen by nobody whose record then comes
    /// before this one. `apply` is quick and says false when there is nothing to be noted after all.
    @discardableResult
    func note(_ records: [JournalRecord], applying apply: () -> Bool) -> Bool {
        let lines = records.flatMap { $0.payloads() }
        var isApplied = false
        let action = self.state.withLock { state -> Action in
            isApplied = apply()
            guard isApplied, !state.isClosed, state.failure == nil else { return .none }
            guard state.lines.count + lines.count <= Self.queueLimit else {
                state.dropped += lines.count
                return .none
            }
            state.lines += lines
            state.accepted += lines.count
            guard !state.isFlushing else { return .none }
            state.isFlushing = true
            return .startFlush
        }
        self.perform(action)
        return isApplied
    }

    /// Appends records and returns when they are durable.
    package func append(_ records: [JournalRecord]) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            self.append(records) { error in
                if let error { continuation.resume(throwing: error) } else { continuation.resume() }
            }
        }
    }

    /// As `append`, with a call when they are durable.
    func append(_ records: [JournalRecord], then resume: @escaping @Sendable ((any Error)?) -> Void) {
        let lines = records.flatMap { $0.payloads() }
        let refusal = self.state.withLock { state -> (error: StorageError?, action: Action) in
            if state.isClosed { return (StorageError(.io, "the store is being closed"), .none) }
            if let failure = state.failure { return (failure, .none) }
            state.lines += lines
            state.accepted += lines.count
            state.waiters.append(Waiter(line: state.accepted, resume: resume))
            guard !state.isFlushing else { return (nil, .none) }
            state.isFlushing = true
            return (nil, .startFlush)
        }
        if let error = refusal.error { resume(error) }
        self.perform(refusal.action)
    }

    /// Runs a change that is durable before it is applied. No file is written anew in between: the new one would lack the line, which the
    /// old one had, and what the line says, which the snapshot does not have yet.
    func changing<T>(_ body: () throws -> T) rethrows -> T {
        self.state.withLock { $0.unapplied += 1 }
        defer {
            let action = self.state.withLock { state -> Action in
                state.unapplied -= 1
                guard state.unapplied == 0, !state.compactionWaiters.isEmpty, !state.isFlushing else { return .none }
                state.isFlushing = true
                return .startFlush
            }
            self.perform(action)
        }
        return try body()
    }

    /// Writes the present state to a new file, however little of the old one is dead, and calls back when that is durable.
    func compact(then resume: @escaping @Sendable ((any Error)?) -> Void) {
        let refusal = self.state.withLock { state -> (error: StorageError?, action: Action) in
            if state.isClosed { return (StorageError(.io, "the store is being closed"), .none) }
            if let failure = state.failure { return (failure, .none) }
            state.compactionWaiters.append(resume)
            guard !state.isFlushing else { return (nil, .none) }
            state.isFlushing = true
            return (nil, .startFlush)
        }
        if let error = refusal.error { resume(error) }
        self.perform(refusal.action)
    }

    /// Writes what waits and ends; later records are refused.
    package func close() async {
        if self.failure?.code == .readOnly { return }
        do {
            try await self.append([])
        } catch {
            self.logger.error("The journal could not be closed cleanly", metadata: ["error": "\(error)"])
        }
        self.state.withLock { $0.isClosed = true }
    }

    // MARK: - Flushing

    private enum Action {
        case none
        case startFlush
    }

    private func perform(_ action: Action) {
        switch action {
        case .none: break
        case .startFlush: self.pool.submit { self.flush(isActive: $0 == .active) }
        }
    }

    private func schedule(in delay: TimeAmount) {
        self.loop.scheduleTask(in: delay) {
            let starts = self.state.withLock { state in
                state.isTimerSet = false
                state.isSyncDue = state.isUnsynced
                guard !state.isFlushing, state.isSyncDue || state.failure != nil else { return false }
                state.isFlushing = true
                return true
            }
            if starts { self.perform(.startFlush) }
        }
    }

    /// The one job that touches the file. Runs on the pool until nothing waits.
    private func flush(isActive: Bool) {
        guard isActive else {
            self.fail(StorageError(.io, "the store is being closed"))
            return
        }
        self.file.withLock { file in
            if self.failure != nil, !self.recover(&file) { return }
            while let batch = self.takeBatch() {
                do {
                    try self.write(batch.lines, to: &file)
                    self.noteWritten(batch.lines.count)
                    if batch.syncs {
                        let start = ContinuousClock.now
                        guard fdatasync(file.descriptor) == 0 else { throw StorageError(.current, "sync the journal") }
                        self.syncs.add(start.duration(to: .now))
                        self.noteSynced()
                    }
                    try self.compactIfAskedOrDue(&file)
                } catch let error as StorageError {
                    self.logger.error("The journal could not be written", metadata: ["error": "\(error)"])
                    self.failures.wrappingAdd(1, ordering: .relaxed)
                    self.fail(error)
                    if !self.recover(&file) { return }
                } catch {
                    preconditionFailure("only StorageError is thrown here: \(error)")
                }
            }
        }
    }

    /// Takes the next lines, at most 1 MiB of them, and whether they must be durable at once; ends the job when there is
    /// nothing to do.
    private func takeBatch() -> (lines: [[UInt8]], syncs: Bool)? {
        let (batch, setsTimer) = self.state.withLock { state -> ((lines: [[UInt8]], syncs: Bool)?, Bool) in
            let syncs = !state.waiters.isEmpty || state.isSyncDue
            let isCompactionAsked = !state.compactionWaiters.isEmpty && state.unapplied == 0
            guard !state.lines.isEmpty || syncs || isCompactionAsked else {
                state.isFlushing = false
                let setsTimer = state.isUnsynced && !state.isTimerSet
                if setsTimer { state.isTimerSet = true }
                return (nil, setsTimer)
            }
            var bytes = 0
            let count = state.lines.prefix { line in
                bytes += line.count
                return bytes <= Self.batchLimit
            }.count
            let lines = Array(state.lines[..<count])
            state.lines.removeFirst(count)
            return ((lines, syncs), false)
        }
        if setsTimer { self.schedule(in: Self.lazyDelay) }
        return batch
    }

    private func write(_ lines: [[UInt8]], to file: inout File) throws(StorageError) {
        guard !lines.isEmpty else { return }
        var bytes: [UInt8] = []
        for payload in lines {
            JournalLine.append(generation: file.generation, sequence: file.nextSequence, payload: payload, to: &bytes)
            file.nextSequence += 1
        }
        do {
            try bytes.withUnsafeBytes { try file.descriptor.writeAll($0, to: StoreLayout.journal) }
        } catch let error as StorageError {
            throw error
        } catch {
            throw StorageError(.io, "cannot write the journal: \(error)")
        }
        file.size += Int64(bytes.count)
        self.sizeOnDisk.store(file.size, ordering: .relaxed)
    }

    private func noteWritten(_ count: Int) {
        self.state.withLock { state in
            state.written += count
            if count > 0 { state.isUnsynced = true }
        }
    }

    private func noteSynced() {
        let resumed = self.state.withLock { state in
            state.isUnsynced = false
            state.isSyncDue = false
            let written = state.written
            let resumed = state.waiters.filter { $0.line <= written }
            state.waiters.removeAll { $0.line <= written }
            return resumed
        }
        for waiter in resumed { waiter.resume(nil) }
    }

    /// Fails all that wait and refuses what comes, until a rewrite succeeds.
    private func fail(_ error: StorageError) {
        let waiters = self.state.withLock { state in
            state.failure = error
            state.written = state.accepted
            state.isUnsynced = false
            state.isSyncDue = false
            state.lines = []
            defer {
                state.waiters = []
                state.compactionWaiters = []
            }
            return state.waiters.map(\.resume) + state.compactionWaiters
        }
        for resume in waiters { resume(error) }
    }

    // MARK: - Whole files

    /// Compacts when somebody waits for it, and at twice the live size, not below 1 MiB, and at most once a minute.
    ///
    /// What is queued from here on comes behind the snapshot, so that only changes that wait to be applied keep it from being made.
    private func compactIfAskedOrDue(_ file: inout File) throws(StorageError) {
        let isDue =
            file.size > max(1 << 20, 2 * file.liveSize)
            && (file.compactedAt.map { $0.duration(to: .now) > .seconds(60) } ?? true)
        let (mayCompact, waiters) = self.state.withLock { state -> (Bool, [@Sendable ((any Error)?) -> Void]) in
            guard state.unapplied == 0, isDue || !state.compactionWaiters.isEmpty else { return (false, []) }
            defer { state.compactionWaiters = [] }
            return (true, state.compactionWaiters)
        }
        guard mayCompact else { return }
        file.compactedAt = .now
        do {
            try self.compactIfThereIsRoom(&file)
        } catch {
            for resume in waiters { resume(error) }
            throw error
        }
        for resume in waiters { resume(nil) }
    }

    private func compactIfThereIsRoom(_ file: inout File) throws(StorageError) {
        do {
            try self.compact(&file)
        } catch let error where error.code == .full {
            // Nothing was replaced: the old file is as good as before, and there may be room another time.
            self.logger.warning("The journal could not be compacted", metadata: ["error": "\(error)"])
        }
    }

    /// Writes the present state to a new file of the next generation and puts it in the old one's place.
    private func compact(_ file: inout File) throws(StorageError) {
        do {
            let new = try JournalCompaction.write(
                in: self.root, generation: file.generation + 1, store: self.storeID, snapshot: self.snapshot)
            if file.descriptor >= 0 { Glibc.close(file.descriptor) }
            file.descriptor = new.descriptor
            file.generation += 1
            file.nextSequence = new.nextSequence
            file.size = new.size
            file.liveSize = new.size
            self.sizeOnDisk.store(new.size, ordering: .relaxed)
            self.rewrites.wrappingAdd(1, ordering: .relaxed)
        } catch let error as StorageError {
            throw error
        } catch {
            throw StorageError(.io, "cannot compact the journal: \(error)")
        }
    }

    /// Writes everything to a new file; false when that fails, too, and will be tried again.
    private func recover(_ file: inout File) -> Bool {
        // From here on lines queue again: what the snapshot has passed already comes behind it.
        let (isChanging, failure) = self.state.withLock { state -> (Bool, StorageError?) in
            defer { state.failure = nil }
            return (state.unapplied > 0, state.failure)
        }
        do throws(StorageError) {
            if isChanging, let failure { throw failure }
            try self.compact(&file)
            self.logger.notice("The journal was written anew and is durable again")
            return true
        } catch {
            self.failures.wrappingAdd(1, ordering: .relaxed)
            self.fail(error)
            let retries = self.state.withLock { state in
                state.isFlushing = false
                guard !state.isTimerSet, !state.isClosed else { return false }
                state.isTimerSet = true
                return true
            }
            if retries { self.schedule(in: Self.retryDelay) }
            return false
        }
    }
}
