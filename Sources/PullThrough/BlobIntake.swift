import DequeModule
import NIOCore
import OCI
import Storage
import Synchronization
import Upstream

/// Carries a blob's bytes from the connection's event loop to where they are hashed and kept, on the pool.
///
/// One job at a time takes all that waits. Waking a thread for each of many small parts would cost more than hashing them, so what comes
/// fast is taken in batches; what comes slowly waits a moment that nobody notices. The upstream is held back when too much waits here, or when the sink asks for
/// a pause because its reader is slow.
final class BlobIntake: BlobReceiver {
    /// What is done with the bytes.
    protocol Sink: AnyObject, Sendable {
        /// On the event loop, once for each transfer.
        func begin(_ head: BlobHead) throws
        /// On the pool, never twice at once.
        func take(_ parts: [ByteBuffer]) throws
        /// Whether the upstream shall be held back until `resume` is called.
        var isSaturated: Bool { get }
        /// On the pool: what has been taken; nil when nothing can be said about it.
        func prefix() -> PrefixReplay.Known?
    }

    private struct State {
        var queue: [ByteBuffer] = []
        var queuedBytes = 0
        var isDraining = false
        var isPaused = false
        /// Somebody looks at the queue in a moment.
        var isScheduled = false
        var heldBack: [EventLoopPromise<Void>] = []
        var idleWaiters: [CheckedContinuation<Void, any Error>] = []
        var failure: (any Error)?
        var hasBegun = false
        /// Counts what comes.
        var traffic: TrafficCell?
        var pace: BodyPace
    }

    /// Bytes that may wait before the upstream is held back.
    private static let limit = Limits.Memory.intake
    /// Bytes for which a job is worth starting at once, and how long fewer wait for more.
    private static let batch = 256 << 10
    private static let moment = TimeAmount.microseconds(500)

    private let store: ContentStore
    private let sink: any Sink
    private let source: RoutedRepository
    private let state: Mutex<State>
    /// What is known already of the body that comes now.
    private let replaying = Mutex<PrefixReplay?>(nil)

    init(sink: any Sink, source: RoutedRepository, store: ContentStore) {
        self.sink = sink
        self.source = source
        self.store = store
        let caution = source.upstream.caution
        self.state = Mutex(State(pace: BodyPace(window: caution.bodyWindow, minimum: caution.bodyInWindow)))
    }

    /// What the sink failed with, if it did.
    var failure: (any Error)? { self.state.withLock { $0.failure } }

    /// Whether any answer has begun: until then there is nothing to resume.
    var hasBegun: Bool { self.state.withLock { $0.hasBegun } }

    func receive(_ head: BlobHead) throws {
        if let failure = self.failure { throw failure }
        let known = self.replaying.withLock { $0?.count ?? 0 }
        try self.sink.begin(BlobHead(offset: head.offset + known, size: head.size))
        self.state.withLock { state in
            state.hasBegun = true
            state.traffic = self.source.traffic
            state.pace.began(at: .now)
        }
    }

    func receive(_ part: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Void> {
        enum Action {
            case fail(any Error)
            case proceed(drain: Bool, schedule: Bool, hold: EventLoopPromise<Void>?)
            /// What has come is right as far as anybody knows; the rest is asked for on another connection.
            case hangUp(drain: Bool)
        }
        let action = self.state.withLock { state -> Action in
            if let failure = state.failure { return .fail(failure) }
            state.traffic?.add(Int64(part.readableBytes), to: .bytesFetched)
            state.queue.append(part)
            state.queuedBytes += part.readableBytes
            var hold: EventLoopPromise<Void>?
            if state.isPaused || state.queuedBytes > Self.limit {
                let promise = loop.makePromise(of: Void.self)
                state.heldBack.append(promise)
                hold = promise
            }
            let isTooSlow = state.pace.received(part.readableBytes, at: .now, isHeldBack: hold != nil)
            let mayDrain = !state.isDraining && !state.isPaused
            let drain = mayDrain && (state.queuedBytes >= Self.batch || isTooSlow || hold != nil)
            if drain { state.isDraining = true }
            let schedule = mayDrain && !drain && !state.isScheduled
            if schedule { state.isScheduled = true }
            return isTooSlow ? .hangUp(drain: drain) : .proceed(drain: drain, schedule: schedule, hold: hold)
        }
        switch action {
        case .fail(let error): return loop.makeFailedFuture(error)
        case .hangUp(let drain):
            if drain { self.store.submit { self.drain() } }
            return loop.makeFailedFuture(UpstreamError(.interrupted, "sends too slowly"))
        case .proceed(let drain, let schedule, let hold):
            if drain { self.store.submit { self.drain() } }
            if schedule { loop.scheduleTask(in: Self.moment) { self.drainWhatWaits() } }
            return hold?.futureResult ?? loop.makeSucceededVoidFuture()
        }
    }

    private func drainWhatWaits() {
        let drain = self.state.withLock { state in
            state.isScheduled = false
            guard !state.isDraining, !state.isPaused, !state.queue.isEmpty, state.failure == nil else { return false }
            state.isDraining = true
            return true
        }
        if drain { self.store.submit { self.drain() } }
    }

    /// Expects the next body from its first byte on, although its beginning has been taken. Only between two transfers.
    func replay() {
        let known = self.sink.prefix()
        self.replaying.withLock { $0 = known.map { PrefixReplay(of: $0) } }
    }

    /// Without what has been taken before.
    private func news(of parts: [ByteBuffer]) throws -> [ByteBuffer] {
        try self.replaying.withLock { replaying in
            let news = try replaying?.rest(of: parts) ?? parts
            if replaying?.isOver == true { replaying = nil }
            return news
        }
    }

    /// Runs the sink's preparation on the pool before any bytes come.
    func wake() {
        let drain = self.state.withLock { state in
            guard !state.isDraining, !state.isPaused, state.failure == nil else { return false }
            state.isDraining = true
            return true
        }
        if drain { self.store.submit { self.drain() } }
    }

    /// Ends a pause.
    func resume() {
        let drain = self.state.withLock { state in
            guard state.isPaused else { return false }
            state.isPaused = false
            guard !state.isDraining else { return false }
            state.isDraining = true
            return true
        }
        if drain { self.store.submit { self.drain() } }
    }

    /// Ends the transfer: whatever waits fails with `error`.
    func fail(_ error: any Error) {
        let (promises, waiters) = self.state.withLock { state in
            if state.failure == nil { state.failure = error }
            state.queue = []
            state.queuedBytes = 0
            defer {
                state.heldBack = []
                state.idleWaiters = []
            }
            return (state.heldBack, state.idleWaiters)
        }
        for promise in promises { promise.fail(error) }
        for waiter in waiters { waiter.resume(throwing: error) }
    }

    /// Returns when everything received has gone through the sink.
    func waitUntilIdle() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let outcome = self.state.withLock { state -> Result<Void, any Error>? in
                if let failure = state.failure { return .failure(failure) }
                if !state.isDraining, state.queue.isEmpty { return .success(()) }
                state.idleWaiters.append(continuation)
                return nil
            }
            if let outcome { return continuation.resume(with: outcome) }
            // Nothing more comes that would make a batch of it.
            self.drainWhatWaits()
        }
    }

    private func drain() {
        while true {
            let batch = self.state.withLock { state in
                defer { state.queue = [] }
                return state.queue
            }
            do {
                try self.sink.take(try self.news(of: batch))
                let pause = self.sink.isSaturated
                let isDone = self.settle(after: batch, pause: pause)
                // The reader may have caught up between the question and the pause; its `resume` came too early then.
                if pause, !self.sink.isSaturated { self.resume() }
                if isDone { return }
            } catch {
                self.fail(error)
                self.state.withLock { $0.isDraining = false }
                return
            }
        }
    }

    /// Accounts for a batch; true when the job ends.
    private func settle(after batch: [ByteBuffer], pause: Bool) -> Bool {
        let bytes = batch.reduce(0) { $0 + $1.readableBytes }
        let (promises, waiters, isDone) = self.state.withLock { state in
            state.queuedBytes = max(0, state.queuedBytes - bytes)
            state.isPaused = pause
            let isDone = pause || state.queue.isEmpty
            if isDone { state.isDraining = false }
            var promises: [EventLoopPromise<Void>] = []
            if !pause, state.queuedBytes <= Self.limit / 2 { swap(&promises, &state.heldBack) }
            var waiters: [CheckedContinuation<Void, any Error>] = []
            if state.queue.isEmpty { swap(&waiters, &state.idleWaiters) }
            return (promises, waiters, isDone)
        }
        for promise in promises { promise.succeed(()) }
        for waiter in waiters { waiter.resume() }
        return isDone
    }
}
