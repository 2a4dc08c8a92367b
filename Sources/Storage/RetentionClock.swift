import Synchronization

/// Decides from when on an image counts as unused, without believing a clock that jumps.
///
/// Age is the one rule by which content goes although there is room, so a wrong clock must not look like age: time that this process
/// has not seen pass does not count (a host that was off, a clock that was set), nor does anything while the wall clock runs differently
/// from the monotonic one.
final class RetentionClock: Sendable {
    private struct State {
        var wall: Int64
        var instant: ContinuousClock.Instant
        /// Seconds that the wall clock says have passed and that do not count.
        var unseen: Int64
        /// Whether what the store knew at the start has been looked at.
        var knowsStore: Bool
    }

    /// The two clocks may differ by so many seconds between two looks.
    private static let tolerance: Int64 = 120
    /// A store that was used within this time (seconds) before the start was not left alone.
    private static let pause: Int64 = 86_400

    private let state: Mutex<State>
    /// Unix seconds.
    private let startedAt: Int64

    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - newest: the latest time that the store itself knows; 0 when it is new, nil when nobody has looked, since nothing is measured.
    init(now: Int64, instant: ContinuousClock.Instant = .now, newest: Int64?) {
        self.startedAt = now
        let unseen = newest.map { Self.gap(between: $0, and: now) } ?? 0
        self.state = Mutex(State(wall: now, instant: instant, unseen: unseen, knowsStore: newest != nil))
    }

    private static func gap(between newest: Int64, and now: Int64) -> Int64 {
        let gap = newest > 0 ? now - newest : 0
        return abs(gap) > Self.pause ? gap : 0
    }

    /// Makes up for a look at the store that was left out at the start: ages are going to be measured after all.
    ///
    /// - Parameter newest: the latest time, from before a moment, that the store knows; 0 when there is none. What was used since the
    ///   start says nothing about the time before it.
    func begin(newest: (_ before: Int64) -> Int64) {
        guard !self.state.withLock({ $0.knowsStore }) else { return }
        let gap = Self.gap(between: newest(self.startedAt), and: self.startedAt)
        self.state.withLock { state in
            if !state.knowsStore { state.unseen += gap }
            state.knowsStore = true
        }
    }

    /// Unix seconds on the clock by which ages are measured.
    func now(wall: Int64, instant: ContinuousClock.Instant = .now) -> Int64 {
        self.state.withLock { state in
            let seen = state.instant.duration(to: instant).components.seconds
            let said = wall - state.wall
            if abs(said - seen) > Self.tolerance { state.unseen += said - seen }
            state.wall = wall
            state.instant = instant
            return wall - state.unseen
        }
    }
}
