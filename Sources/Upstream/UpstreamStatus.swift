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
    }

    private let state = Mutex(Snapshot())

    package var snapshot: Snapshot { self.state.withLock { $0 } }

    /// Whether the last that was heard of it is that it cannot be reached, or fails.
    package var isDown: Bool { self.state.withLock { $0.isOutage } }

    func requested() { self.state.withLock { $0.requests += 1 } }

    /// By how much longer than usual a tag is believed: what a window said is no longer true behind its end.
    package var stretch: Int {
        self.state.withLock { state in
            guard let rateLimit = state.rateLimit, let at = state.rateLimitAt,
                at.duration(to: .now) < rateLimit.window ?? Limits.Upstream.rateWindow
            else { return 1 }
            return rateLimit.stretch
        }
    }

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
