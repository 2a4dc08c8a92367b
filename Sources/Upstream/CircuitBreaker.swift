import OCI
import Synchronization

/// Remembers that a place fails, so that nobody waits for it in vain: after some failures in a row it is left alone, and then asked by
/// one request at a time until one succeeds.
///
/// Source: M. Nygard, "Release It!", Circuit Breaker.
package final class CircuitBreaker: Sendable {
    /// Failures in a row that open it.
    private let threshold: Int
    /// How close together they must be.
    private let window: Duration
    /// How long it stays open before one request may try.
    private let pause: Duration

    private struct State {
        var failures: [ContinuousClock.Instant] = []
        /// When the next request may try; nil while it is closed.
        var nextProbe: ContinuousClock.Instant?
        var reason: String?
    }

    private let state = Mutex(State())

    package init(
        threshold: Int = Limits.Upstream.circuitFailures, window: Duration = Limits.Upstream.circuitWindow,
        pause: Duration = Limits.Upstream.circuitPause
    ) {
        self.threshold = threshold
        self.window = window
        self.pause = pause
    }

    enum Verdict: Equatable, Sendable {
        case go
        /// Nobody is to ask for this many seconds; why.
        case stop(seconds: Int, reason: String)
    }

    /// Whether a request may be made. A yes while it is open is for one request: the next is told to wait again.
    func verdict(now: ContinuousClock.Instant = .now) -> Verdict {
        self.state.withLock { state in
            guard let probe = state.nextProbe else { return .go }
            if now >= probe {
                state.nextProbe = now + self.pause
                return .go
            }
            let seconds = Int(now.duration(to: probe).components.seconds) + 1
            return .stop(seconds: seconds, reason: state.reason ?? "it has failed")
        }
    }

    package var isOpen: Bool { self.state.withLock { $0.nextProbe != nil } }

    /// - Returns: whether this has closed it.
    @discardableResult
    func succeeded() -> Bool {
        self.state.withLock { state in
            // Nearly always there is nothing to forget.
            guard state.nextProbe != nil || !state.failures.isEmpty else { return false }
            defer { state = State() }
            return state.nextProbe != nil
        }
    }

    /// - Returns: whether this failure has opened it.
    @discardableResult
    func failed(_ reason: String, now: ContinuousClock.Instant = .now) -> Bool {
        self.state.withLock { state in
            state.reason = reason
            if state.nextProbe != nil {
                state.nextProbe = now + self.pause
                return false
            }
            state.failures.removeAll { $0.duration(to: now) > self.window }
            state.failures.append(now)
            guard state.failures.count >= self.threshold else { return false }
            state.nextProbe = now + self.pause
            return true
        }
    }
}
