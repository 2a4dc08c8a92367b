import DequeModule
import Logging
import NIOCore
import OCI
import Storage
import Synchronization
import Upstream

/// One upstream GET for one client, for what may not be stored: hashed on the way, its tail withheld in memory.
///
/// The upstream is read as fast as the client reads, and not faster: at most about half a MiB waits here.
package final class BlobRelay: Sendable {
    package let digest: Digest
    /// The byte of the blob at which `next` begins.
    package let start: Int64
    private let source: RoutedRepository
    private let store: ContentStore
    private let logger: Logger
    private let state: Mutex<State>
    /// Nil for a part, which nothing can be said about.
    private let verifier: Mutex<DigestVerifier?>
    /// The last byte that is wanted; nil for the end of the blob.
    private let last: Int64?
    private let intake = Mutex<BlobIntake?>(nil)

    private struct State {
        /// What may go out.
        var ready: Deque<ByteBuffer> = []
        var readyBytes = 0
        /// The most recent 64 KiB, which may not.
        var withheld: Deque<ByteBuffer> = []
        var withheldBytes = 0
        var received: Int64
        var size: Int64?
        var hasBegun = false
        var isCancelled = false
        var isVerified = false
        var failure: PullThroughError?
        var wakes: [@Sendable () -> Void] = []
    }

    /// Bytes that may wait for the client before the upstream is held back.
    private static let limit = Limits.Memory.relay

    /// A relay that goes on where a download stopped storing.
    init(continuing download: BlobDownload, store: ContentStore, logger: Logger) throws {
        let handover = try download.handover()
        let withheld = handover.withheld
        let size = handover.size
        let verifier = handover.takeVerifier()
        self.digest = download.digest
        self.source = download.source
        self.store = store
        self.logger = logger
        self.start = verifier.byteCount - Int64(withheld.readableBytes)
        var state = State(received: verifier.byteCount)
        state.size = size
        if withheld.readableBytes > 0 { state.withheld = [withheld] }
        state.withheldBytes = withheld.readableBytes
        self.state = Mutex(state)
        self.verifier = Mutex(verifier)
        self.last = nil
    }

    /// A relay of the bytes from `first` up to, not including, `end` of a blob that is still arriving.
    init(partOf download: BlobDownload, from first: Int64, to end: Int64, store: ContentStore, logger: Logger) {
        self.digest = download.digest
        self.source = download.source
        self.store = store
        self.logger = logger
        self.start = first
        self.last = end - 1
        var state = State(received: first)
        state.size = download.size
        self.state = Mutex(state)
        self.verifier = Mutex(nil)
    }

    // MARK: - Reading

    package func headStep(isImpatient: Bool, wake: @escaping @Sendable () -> Void) -> BlobDownload.StateMachine.HeadStep {
        self.state.withLock { state in
            if let failure = state.failure { return .fail(failure) }
            let isLarge = (state.size ?? 0) > BlobDownload.tail || state.readyBytes > 0
            if state.isVerified || state.hasBegun && (isLarge || isImpatient) { return .head(size: state.size) }
            state.wakes.append(wake)
            return .wait
        }
    }

    package enum Step {
        case wait
        case send(ByteBuffer)
        case end
        case fail(PullThroughError)
    }

    /// The next bytes; `wake` is called once when a wait may be over.
    package func next(wake: @escaping @Sendable () -> Void) -> Step {
        let (step, resumes) = self.state.withLock { state -> (Step, Bool) in
            if let part = state.ready.popFirst() {
                let wasFull = state.readyBytes > Self.limit
                state.readyBytes -= part.readableBytes
                return (.send(part), wasFull && state.readyBytes <= Self.limit)
            }
            if let failure = state.failure { return (.fail(failure), false) }
            if state.isVerified { return (.end, false) }
            state.wakes.append(wake)
            return (.wait, false)
        }
        if resumes { self.intake.withLock { $0 }?.resume() }
        return step
    }

    /// Whether everything has been received and is right.
    package var isVerified: Bool { self.state.withLock { $0.isVerified } }

    /// Ends the relay because its client is gone or has all it wanted.
    package func cancel() {
        self.change { state in
            state.isCancelled = true
            if !state.isVerified { state.failure = state.failure ?? Self.clientGone }
        }
        self.intake.withLock { $0 }?.fail(Self.clientGone)
    }

    private static let clientGone = PullThroughError(.unavailable, "the client is gone")

    private func change(_ event: (inout State) -> Void) {
        let wakes = self.state.withLock { state in
            event(&state)
            defer { state.wakes = [] }
            return state.wakes
        }
        for wake in wakes { wake() }
    }

    // MARK: - Running

    func run() async {
        let intake = BlobIntake(sink: self, source: self.source, store: self.store)
        self.intake.withLock { $0 = intake }
        if self.state.withLock({ $0.isCancelled }) { return }
        do {
            try await BlobTransfer(digest: self.digest, source: self.source, logger: self.logger)
                .run(into: intake, through: self.last) { self.state.withLock { $0.received } }
            try self.verify()
            self.change { state in
                state.isVerified = true
                if self.last == nil { state.size = state.received }
                state.readyBytes += state.withheldBytes
                state.ready += state.withheld
                state.withheld = []
            }
        } catch {
            let failure = PullThroughError(error)
            self.change { $0.failure = failure }
        }
        self.intake.withLock { $0 = nil }
    }

    private func verify() throws {
        let (received, size) = self.state.withLock { ($0.received, $0.size) }
        if let last = self.last {
            guard received == last + 1 else {
                throw PullThroughError(.invalidUpstreamResponse, "the upstream sent less of \(self.digest) than asked for")
            }
            return
        }
        guard size == nil || size == received, self.verifier.withLock({ $0?.digest() }) == self.digest else {
            self.logger.warning("[\(self.source.upstream.name)] Relayed content is not \(self.digest)")
            let error = PullThroughError(.invalidUpstreamResponse, "the upstream sent other content than \(self.digest)")
            if size == nil || size == received { self.source.noteWrongContent(self.digest, error, self.logger) }
            throw error
        }
    }
}

extension BlobRelay: BlobIntake.Sink {
    func prefix() -> PrefixReplay.Known? {
        self.verifier.withLock { verifier in
            guard let copy = verifier?.copy() else { return nil }
            return PrefixReplay.Known(copy)
        }
    }

    var isSaturated: Bool { self.state.withLock { $0.readyBytes > Self.limit } }

    func begin(_ head: BlobHead) throws {
        let (received, size) = self.state.withLock { ($0.received, $0.size) }
        guard head.offset == received, size == nil || head.size == nil || size == head.size else {
            throw PullThroughError(.invalidUpstreamResponse, "the upstream sends another part of \(self.digest) than asked for")
        }
        self.change { state in
            state.hasBegun = true
            state.size = state.size ?? head.size
        }
    }

    func take(_ parts: [ByteBuffer]) throws {
        guard !parts.isEmpty else { return }
        self.verifier.withLock { verifier in
            for part in parts { part.withUnsafeReadableBytes { verifier?.update($0) } }
        }
        // A part of a blob has no tail: nothing would ever be known that could release it.
        let tail = self.last == nil ? Int(BlobDownload.tail) : 0
        self.change { state in
            for part in parts where part.readableBytes > 0 {
                state.received += Int64(part.readableBytes)
                state.withheld.append(part)
                state.withheldBytes += part.readableBytes
            }
            while state.withheldBytes > tail, var part = state.withheld.popFirst() {
                let excess = state.withheldBytes - tail
                if part.readableBytes > excess, let released = part.readSlice(length: excess) {
                    state.withheld.prepend(part)
                    part = released
                }
                state.withheldBytes -= part.readableBytes
                state.readyBytes += part.readableBytes
                state.ready.append(part)
            }
        }
    }
}
