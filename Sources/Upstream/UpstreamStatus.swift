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
        /// `ratelimit-remaining` as the registry last sent it.
        package var rateLimitRemaining: Int?
    }

    private let state = Mutex(Snapshot())

    package var snapshot: Snapshot { self.state.withLock { $0 } }

    /// Whether the last that was heard of it is that it cannot be reached, or fails.
    package var isDown: Bool { self.state.withLock { $0.isOutage } }

    func requested() { self.state.withLock { $0.requests += 1 } }

    func answered(rateLimitRemaining: Int?) {
        self.state.withLock { state in
            state.lastAnswer = .now
            state.isOutage = false
            if let rateLimitRemaining { state.rateLimitRemaining = rateLimitRemaining }
        }
    }

    func failed(_ error: UpstreamError) {
        self.state.withLock { state in
            state.lastFailure = .now
            state.lastError = error.message
            switch error.code {
            case .unreachable, .timeout, .unavailable: state.isOutage = true
            default: state.isOutage = false
            }
        }
    }
}
