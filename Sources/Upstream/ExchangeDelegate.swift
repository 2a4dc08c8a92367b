import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import OCI
import Synchronization

/// One request and its response: hands a wanted body to its receiver and collects a small one of any other response.
///
/// It also watches the clock, because the client library's read timeout would run while we hold the upstream back for a
/// slow reader: a head that does not come and a body that stands still end the exchange, a reader that is slow does not.
final class ExchangeDelegate: HTTPClientResponseDelegate {
    struct Response: Sendable {
        let head: HTTPResponseHead
        /// The collected body; empty when a receiver took it.
        let body: ByteBuffer
        /// Whether it came from a place that the registry led to.
        var isElsewhere = false
    }

    /// Decides on a response's head whether its body goes to the receiver; throwing ends the exchange.
    typealias Judge = @Sendable (HTTPResponseHead) throws -> (any BlobReceiver)?

    private struct State {
        /// Gone when the exchange has ended: what receives the body must not be held by whoever watches the clock.
        var judge: Judge?
        var watch: Scheduled<Void>?
        var head: HTTPResponseHead?
        /// Whether the body went to a receiver: what fails then is an interrupted body, not a failed request.
        var hasReceiver = false
        var receiver: (any BlobReceiver)?
        var body = ByteBuffer()
        var lastProgress = NIODeadline.now()
        var isHeldBack = false
        var isFinished = false
        /// Whoever received the body could not take it: that says nothing of the registry.
        var hasReceiverFailed = false
    }

    private let limit: Int
    /// When a collected body must be complete: whoever waits for it waits for the whole.
    private let deadline: NIODeadline
    private let headTimeout: TimeAmount
    private let stallTimeout: TimeAmount
    private let bandwidth: BandwidthLimit?
    /// Is told how long the head took.
    private let status: UpstreamStatus?
    private let begunAt = ContinuousClock.now
    private let state: Mutex<State>

    /// - Parameter limit: bytes of a collected body; more is an error.
    init(
        limit: Int, headTimeout: Duration, bodyTimeout: Duration, stallTimeout: Duration, bandwidth: BandwidthLimit? = nil,
        status: UpstreamStatus? = nil, judge: @escaping Judge
    ) {
        self.status = status
        self.bandwidth = bandwidth
        self.limit = limit
        self.deadline = .now() + TimeAmount(bodyTimeout)
        self.headTimeout = TimeAmount(headTimeout)
        self.stallTimeout = TimeAmount(stallTimeout)
        self.state = Mutex(State(judge: judge))
    }

    /// Whether a receiver has taken the body: what fails afterwards is an interrupted body, not a failed request.
    var hasReceiver: Bool { self.state.withLock { $0.hasReceiver } }

    /// Whether it ended because the receiver could not take more.
    var hasReceiverFailed: Bool { self.state.withLock { $0.hasReceiverFailed } }

    /// Starts the clock; call once, right after the task was made.
    func watch(_ task: HTTPClient.Task<Response>) {
        self.scheduleCheck(task, in: self.headTimeout)
    }

    private enum Check {
        case finished
        case again(TimeAmount)
        case expired(UpstreamError)
    }

    private func scheduleCheck(_ task: HTTPClient.Task<Response>, in delay: TimeAmount) {
        let watch = task.eventLoop.scheduleTask(in: delay) {
            switch self.check() {
            case .finished: break
            case .again(let delay): self.scheduleCheck(task, in: delay)
            case .expired(let error): task.fail(reason: error)
            }
        }
        let isLate = self.state.withLock { state in
            state.watch = watch
            return state.isFinished
        }
        if isLate { watch.cancel() }
    }

    private func finish() {
        let watch = self.state.withLock { state in
            state.isFinished = true
            state.judge = nil
            state.receiver = nil
            defer { state.watch = nil }
            return state.watch
        }
        watch?.cancel()
    }

    private func check() -> Check {
        self.state.withLock { state in
            if state.isFinished { return .finished }
            guard state.head != nil else { return .expired(UpstreamError(.timeout, "sent no response in time")) }
            if !state.hasReceiver {
                let left = self.deadline - .now()
                if left <= .zero { return .expired(UpstreamError(.timeout, "did not finish its answer in time")) }
                return .again(left)
            }
            if state.isHeldBack { return .again(self.stallTimeout) }
            let idle = NIODeadline.now() - state.lastProgress
            if idle >= self.stallTimeout { return .expired(UpstreamError(.interrupted, "stopped sending")) }
            return .again(self.stallTimeout - idle)
        }
    }

    func didReceiveHead(task: HTTPClient.Task<Response>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        self.status?.noteHead(after: self.begunAt.duration(to: .now))
        do {
            try UpstreamHead.check(head.headers)
            let receiver = try self.state.withLock { $0.judge }?(head)
            self.state.withLock { state in
                state.head = head
                state.receiver = receiver
                state.hasReceiver = receiver != nil
                state.lastProgress = .now()
            }
            return task.eventLoop.makeSucceededVoidFuture()
        } catch {
            return task.eventLoop.makeFailedFuture(error)
        }
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Response>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let receiver = self.state.withLock { state in
            state.lastProgress = .now()
            state.isHeldBack = state.receiver != nil
            return state.receiver
        }
        guard let receiver else {
            let fits = self.state.withLock { state in
                guard state.body.readableBytes + buffer.readableBytes <= self.limit else { return false }
                state.body.writeImmutableBuffer(buffer)
                return true
            }
            guard !fits else { return task.eventLoop.makeSucceededVoidFuture() }
            return task.eventLoop.makeFailedFuture(
                UpstreamError(.invalidResponse, "sent more than \(self.limit) bytes where less was expected"))
        }
        var future = receiver.receive(buffer, on: task.eventLoop)
        if let delay = self.bandwidth?.take(buffer.readableBytes), delay > .zero {
            // The connection is not read meanwhile, so the registry's own window slows it down.
            future = future.flatMap { task.eventLoop.scheduleTask(in: delay) {}.futureResult }
        }
        future.whenComplete { result in
            self.state.withLock { state in
                state.lastProgress = .now()
                state.isHeldBack = false
                // One that finds the registry too slow says so in the registry's own terms.
                if case .failure(let error) = result { state.hasReceiverFailed = !(error is UpstreamError) }
            }
        }
        return future
    }

    func didReceiveError(task: HTTPClient.Task<Response>, _ error: any Error) {
        self.finish()
    }

    func didFinishRequest(task: HTTPClient.Task<Response>) throws -> Response {
        self.finish()
        return try self.state.withLock { state in
            guard let head = state.head else { throw UpstreamError(.invalidResponse, "ended without a response") }
            return Response(head: head, body: state.body)
        }
    }
}
