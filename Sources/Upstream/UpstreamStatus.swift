import OCI
import Synchronization

/// How a registry was last seen; for `/health`, and for people.
package final class UpstreamStatus: Sendable {
    package struct Snapshot: Sendable {
        /// When this process last got any answer; nil when it never did.
        package var lastAnswer: ContinuousClock.Instant?
        package var lastFailure: ContinuousClock.Instant?
        package var lastError: String?
        /// Whether that error means that nothing can be had from there.
        var isOutage = false
        package var requests: Int64 = 0
        /// What the registry last said of its rate limit, and when.
        package var rateLimit: RateLimit?
        package var rateLimitAt: ContinuousClock.Instant?
        /// How long the head of an answer took of late: each answer moves it by a tenth.
        package var recentLatency: Duration?
    }

    private let state = Mutex(Snapshot())
    /// How long it took from a request to the head of its answer, whatever that said. What got no answer is among the errors.
    package let latency = Histogram(Histogram.network)
    private let errors: InlineArray<8, Atomic<Int64>>

    init() {
        self.errors = InlineArray { _ in Atomic(0) }
    }

    /// Requests that failed, each attempt at each place, since this process began.
    package func errors(_ kind: UpstreamErrorClass) -> Int64 { self.errors[kind.rawValue].load(ordering: .relaxed) }

    /// Counts a request that failed.
    func count(_ error: UpstreamError) {
        if let kind = UpstreamErrorClass(error.code) { self.errors[kind.rawValue].wrappingAdd(1, ordering: .relaxed) }
    }

    /// Counts content that was not what its digest says.
    package func noteWrongContent() {
        self.errors[UpstreamErrorClass.wrongContent.rawValue].wrappingAdd(1, ordering: .relaxed)
    }

    /// The head of an answer has come.
    func noteHead(after duration: Duration) {
        self.latency.add(duration)
        self.state.withLock { state in
            state.recentLatency = state.recentLatency.map { $0 + (duration - $0) / 10 } ?? duration
        }
    }

    package var snapshot: Snapshot { self.state.withLock { $0 } }

    /// Whether the last that was heard of it is that it cannot be reached, or fails.
    package var isDown: Bool { self.state.withLock { $0.isOutage } }

    func requested() { self.state.withLock { $0.requests += 1 } }

    /// What the registry last said of its rate limit: what a window said is no longer true behind its end.
    package var currentRateLimit: RateLimit? {
        self.state.withLock { state in
            guard let rateLimit = state.rateLimit, let at = state.rateLimitAt,
                at.duration(to: .now) < rateLimit.window ?? Limits.Upstream.rateWindow
            else { return nil }
            return rateLimit
        }
    }

    /// By how much longer than usual a tag is believed.
    package var stretch: Int { self.currentRateLimit?.stretch ?? 1 }

    func answered(_ rateLimit: RateLimit?) {
        self.state.withLock { state in
            state.lastAnswer = .now
            state.isOutage = false
            if let rateLimit {
                state.rateLimit = rateLimit
                state.rateLimitAt = .now
            }
        }
    }

    func failed(_ error: UpstreamError) {
        self.state.withLock { state in
            // That there is no such thing is an answer like any other.
            if case .notFound = error.code {
                state.isOutage = false
                return
            }
            state.lastFailure = .now
            state.lastError = error.message
            switch error.code {
            case .unreachable, .timeout, .unavailable: state.isOutage = true
            default: state.isOutage = false
            }
        }
    }
}
