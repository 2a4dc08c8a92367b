import DequeModule
import NIOCore
import Storage
import Synchronization
import Upstream

/// Carries a blob's bytes from the connection's event loop to where they are hashed and kept, on the pool.
///
/// One job at a time takes all that waits. The upstream is held back when too much waits here, or when the sink asks for
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
    }

    private struct State {
        var queue: [ByteBuffer] = []
        var queuedBytes = 0
        var isDraining = false
        var isPaused = false
        var heldBack: [EventLoopPromise<Void>] = []
        var idleWaiters: [CheckedContinuation<Void, any Error>] = []
        var failure: (any Error)?
        var hasBegun = false
    }

    /// Bytes that may wait before the upstream is held back.
    private static let limit = 2 << 20

    private let store: ContentStore
    private let sink: any Sink
    private let state = Mutex(State())

    init(sink: any Sink, store: ContentStore) {
        self.sink = sink
        self.store = store
    }

    /// What the sink failed with, if it did.
    var failure: (any Error)? { self.state.withLock { $0.failure } }

    /// Whether any answer has begun: until then there is nothing to resume.
    var hasBegun: Bool { self.state.withLock { $0.hasBegun } }

    func receive(_ head: BlobHead) throws {
        if let failure = self.failure { throw failure }
        try self.sink.begin(head)
        self.state.withLock { $0.hasBegun = true }
    }

    func receive(_ part: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Void> {
        enum Action {
            case fail(any Error)
            case proceed(drain: Bool, hold: EventLoopPromise<Void>?)
        }
        let action = self.state.withLock { state -> Action in
            if let failure = state.failure { return .fail(failure) }
            state.queue.append(part)
            state.queuedBytes += part.readableBytes
            var hold: EventLoopPromise<Void>?
            if state.isPaused || state.queuedBytes > Self.limit {
                let promise = loop.makePromise(of: Void.self)
                state.heldBack.append(promise)
                hold = promise
            }
            let drain = !state.isDraining && !state.isPaused
            if drain { state.isDraining = true }
            return .proceed(drain: drain, hold: hold)
        }
        switch action {
        case .fail(let error): return loop.makeFailedFuture(error)
        case .proceed(let drain, let hold):
            if drain { self.store.submit { self.drain() } }
            return hold?.futureResult ?? loop.makeSucceededVoidFuture()
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
            if let outcome { continuation.resume(with: outcome) }
        }
    }

    private func drain() {
        while true {
            let batch = self.state.withLock { state in
                defer { state.queue = [] }
                return state.queue
            }
            do {
                try self.sink.take(batch)
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
