import NIOCore
import Synchronization

/// A token bucket: bytes may come as fast as the line is until the bucket is empty, and then at a steady rate.
///
/// The bucket holds what comes in a quarter of a second, so that the rate is even and a small answer is never held up.
package final class BandwidthLimit: Sendable {
    private struct State {
        var tokens: Double
        var last: NIODeadline
    }

    private let rate: Double
    private let capacity: Double
    private let state: Mutex<State>

    /// - Parameter rate: bytes a second; more than 0.
    package init(rate: Int64, now: NIODeadline = .now()) {
        self.rate = Double(max(rate, 1))
        self.capacity = max(self.rate / 4, 65_536)
        self.state = Mutex(State(tokens: self.capacity, last: now))
    }

    /// Takes bytes that have come, and says how long to wait before more are taken in.
    package func take(_ bytes: Int, now: NIODeadline = .now()) -> TimeAmount {
        self.state.withLock { state in
            let elapsed = Double(max(0, (now - state.last).nanoseconds)) / 1e9
            state.tokens = min(self.capacity, state.tokens + elapsed * self.rate) - Double(bytes)
            state.last = max(now, state.last)
            guard state.tokens < 0 else { return .zero }
            return .nanoseconds(Int64(-state.tokens / self.rate * 1e9))
        }
    }
}
