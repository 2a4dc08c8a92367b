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
    }

    /// The two clocks may differ by so many seconds between two looks.
    private static let tolerance: Int64 = 120
    /// A store that was used within this time (seconds) before the start was not left alone.
    private static let pause: Int64 = 86_400

    private let state: Mutex<State>

    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - newest: the latest time that the store itself knows; 0 when it is new.
    init(now: Int64, instant: ContinuousClock.Instant = .now, newest: Int64) {
        let gap = newest > 0 ? now - newest : 0
        self.state = Mutex(State(wall: now, instant: instant, unseen: abs(gap) > Self.pause ? gap : 0))
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
