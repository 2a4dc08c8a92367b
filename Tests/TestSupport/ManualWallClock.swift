import Synchronization

/// A wall clock in Unix seconds that tests set, also backwards.
package final class ManualWallClock: Sendable {
    private let seconds: Mutex<Int64>

    /// - Parameter now: the default is 2026-08-01 00:00:00 UTC.
    package init(now: Int64 = 1_785_542_400) {
        self.seconds = Mutex(now)
    }

    package var now: Int64 { self.seconds.withLock { $0 } }

    /// The clock as the closure that the code under test takes.
    package var read: @Sendable () -> Int64 { { self.now } }

    package func advance(by seconds: Int64) {
        self.seconds.withLock { $0 += seconds }
    }

    package func set(to seconds: Int64) {
        self.seconds.withLock { $0 = seconds }
    }
}
