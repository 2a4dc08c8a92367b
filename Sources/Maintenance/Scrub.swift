import Logging
import NIOPosix
import OCI
import ServiceLifecycle
import Storage
import Synchronization

/// Hashes everything that is stored, again and again, so slowly that nobody feels it: disks forget.
///
/// A damaged blob goes to quarantine and out of the catalog, so it is never served again and fetched anew by the next who asks.
package final class Scrub: Service {
    /// How fast it goes.
    package struct Pace: Sendable {
        /// In which everything is hashed once.
        package var period = Duration.seconds(7 * 86_400)
        /// Bytes a second that are never exceeded.
        package var bytesPerSecond = 20e6
        /// The share of one core that is never exceeded.
        package var computing = 0.05
        package var priority = Priority.idle

        package init() {}
    }

    /// Of the thread that hashes. It never holds a lock that others wait for.
    package enum Priority: Sendable {
        /// After everybody else's reads and computing.
        case idle
        case usual
    }

    /// What it has done since the start.
    package struct Report: Hashable, Sendable {
        package var blobs: Int64 = 0
        package var bytes: Int64 = 0
        package var damaged: Int64 = 0
        package var rounds: Int64 = 0
        /// When the last round ended, on this process's clock.
        package var lastRound: ContinuousClock.Instant?
    }

    /// What a blob takes besides its bytes, so that a store of many small ones is not hashed all at once.
    private static let overhead: Int64 = 4096
    /// The longest pause between two blobs: the store may grow meanwhile.
    private static let longestPause = Duration.seconds(600)

    private let store: ContentStore
    private let pace: Pace
    private let logger: Logger
    private let pause: @Sendable (Duration) async throws -> Void
    private let firstShard: UInt8
    private let state = Mutex(Report())

    /// - Parameters:
    ///   - firstShard: where the first round begins; random, so that restarts do not leave the same blobs for the end.
    ///   - pause: waits.
    package init(
        store: ContentStore, pace: Pace = Pace(), logger: Logger,
        firstShard: UInt8 = .random(in: .min ... .max),
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.store = store
        self.pace = pace
        self.logger = logger
        self.firstShard = firstShard
        self.pause = pause
    }

    package var report: Report { self.state.withLock { $0 } }

    package func run() async throws {
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        do {
            try await cancelWhenGracefulShutdown {
                if self.pace.priority == .idle { try await thread.runIfActive { IdleThread.begin() } }
                while !Task.isCancelled { try await self.round(thread) }
            }
        } catch is CancellationError {
            self.logger.debug("The scrub has ended")
        }
        // The error says that it was shut down already, which is what is wanted.
        try? await thread.shutdownGracefully()
    }

    /// Goes round all shards once, and waits for the rest of the period.
    func round(_ thread: NIOThreadPool) async throws {
        var spent = Duration.zero
        var step = 0
        while step <= UInt8.max {
            try Task.checkCancellation()
            let batch = try await self.batch(from: step)
            for digest in batch.digests {
                try Task.checkCancellation()
                guard !self.isRecent(digest) else { continue }
                spent += try await self.check(digest, thread)
            }
            step = batch.next
        }
        self.state.withLock { state in
            state.rounds += 1
            state.lastRound = .now
        }
        // What was hashed elsewhere took no time from this round.
        var left = self.pace.period - spent
        while left > .zero {
            try await self.pause(min(left, Self.longestPause))
            left -= Self.longestPause
        }
        try Task.checkCancellation()
    }

    /// What lies in the next shards, some hundred blobs at least if there are so many.
    private func batch(from first: Int) async throws -> (digests: [Digest], next: Int) {
        try await self.store.run {
            var digests: [Digest] = []
            var step = first
            while step <= UInt8.max, digests.count < 256 {
                for algorithm in Digest.Algorithm.allCases {
                    do {
                        digests += try self.store.storedDigests(in: algorithm, self.firstShard &+ UInt8(step))
                    } catch {
                        self.logger.warning("The scrub could not list a folder of blobs", metadata: ["error": "\(error)"])
                    }
                }
                step += 1
            }
            return (digests, step)
        }
    }

    /// Whether somebody hashed it not long ago: at its first hit, when it was stored, or here.
    private func isRecent(_ digest: Digest) -> Bool {
        self.store.lastCheck(of: digest).map { $0.duration(to: .now) < self.pace.period / 2 } ?? false
    }

    // MARK: - One blob

    /// Hashes a blob at its pace and waits until the next one's turn; returns how long that takes as it is planned.
    private func check(_ digest: Digest, _ thread: NIOThreadPool) async throws -> Duration {
        let start = ContinuousClock.now
        guard let job = try await self.store.run({ ScrubJob(digest, self.store, self.logger) }) else { return .zero }
        var planned = Duration.zero
        while let step = try await thread.runIfActive({ job.step() }) {
            self.state.withLock { $0.bytes += Int64(step.bytes) }
            let shortest = max(
                .seconds(Double(step.bytes) / self.pace.bytesPerSecond), step.computing * (1 / self.pace.computing))
            planned += shortest
            try await self.wait(shortest - step.elapsed)
        }
        let isDamaged = try await self.store.run { job.end() }
        self.state.withLock { state in
            state.blobs += 1
            if isDamaged { state.damaged += 1 }
        }
        let share = Double(job.size + Self.overhead) / Double(max(self.total, job.size + Self.overhead))
        let turn = max(planned, min(self.pace.period * share, Self.longestPause))
        try await self.wait(turn - start.duration(to: .now))
        return turn
    }

    private func wait(_ duration: Duration) async throws {
        if duration > .zero { try await self.pause(duration) }
    }

    /// Bytes of a round.
    private var total: Int64 {
        let total = self.store.catalog.total
        return total.bytes + Int64(total.blobs) * Self.overhead
    }
}

/// One blob that is being hashed, piece by piece. Its calls block and come one after the other.
private final class ScrubJob: Sendable {
    struct Step: Sendable {
        let bytes: Int
        let computing: Duration
        let elapsed: Duration
    }

    private struct State: ~Copyable {
        var verifier: DigestVerifier
        var traces: PageTraces
        var failure: (any Error)?
        var isAtEnd = false
    }

    private let digest: Digest
    private let store: ContentStore
    private let logger: Logger
    private let file: BlobFile
    private let state: Mutex<State>

    var size: Int64 { self.file.content.size }

    /// Nil when there is no such file any more, or none that can be opened: then whoever asks for the content finds out.
    init?(_ digest: Digest, _ store: ContentStore, _ logger: Logger) {
        do {
            self.file = try BlobFile(opening: StoreLayout.blob(digest), in: store.folder)
        } catch {
            if (error as? StorageError)?.code != .notFound {
                logger.warning("The scrub could not open a blob", metadata: ["digest": "\(digest)", "error": "\(error)"])
            }
            return nil
        }
        self.digest = digest
        self.store = store
        self.logger = logger
        self.state = Mutex(
            State(verifier: DigestVerifier(digest.algorithm), traces: PageTraces(of: self.file.content)))
    }

    /// Hashes the next piece; nil when there is none.
    func step() -> Step? {
        self.state.withLock { state -> Step? in
            guard !state.isAtEnd else { return nil }
            let start = (ContinuousClock.now, IdleThread.time)
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: ReadableFile.piece, alignment: 4096)
            defer { buffer.deallocate() }
            let offset = state.verifier.byteCount
            do {
                let count = try self.file.content.read(at: offset, into: buffer)
                state.verifier.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                state.isAtEnd = count < buffer.count
                state.traces.didRead(at: offset, count: count)
                return Step(bytes: count, computing: IdleThread.time - start.1, elapsed: start.0.duration(to: .now))
            } catch {
                state.failure = error
                state.isAtEnd = true
                return nil
            }
        }
    }

    /// Judges what was hashed; true when the blob is damaged, and in quarantine by then.
    func end() -> Bool {
        self.state.withLock { state in
            if state.failure == nil, state.verifier.digest() == self.digest {
                self.store.noteCheck(of: self.digest)
                return false
            }
            var metadata: Logger.Metadata = ["digest": "\(self.digest)"]
            if let failure = state.failure { metadata["error"] = "\(failure)" }
            do {
                guard try self.store.quarantine(self.digest, unlessReplaced: self.file) else { return false }
                self.logger.error(
                    "A stored blob is damaged and goes to quarantine; it is fetched again when it is asked for",
                    metadata: metadata)
                return true
            } catch {
                self.logger.error(
                    "A damaged blob could not be moved", metadata: ["digest": "\(self.digest)", "error": "\(error)"])
                return true
            }
        }
    }
}
