import Foundation

/// A door on which a thread of the scripted upstream waits until the test opens it.
///
/// Closed at first; once open it stays open and lets everybody through.
///
/// `@unchecked Sendable`: `condition` guards both variables.
package final class Gate: @unchecked Sendable {
    package enum Outcome: Sendable { case opened, timedOut, cancelled }

    private let condition = NSCondition()
    private let timeout: Duration
    private var isOpened = false
    private var arrivals = 0

    /// - Parameter timeout: how long a thread holds at the gate before it gives up. Longer than the other waits, so
    ///   that a stall can outlast the 20 and 30 s timeouts of the code under test.
    package init(timeout: Duration = .seconds(60)) {
        self.timeout = timeout
    }

    package var isOpen: Bool { self.condition.withLock { self.isOpened } }

    /// How many threads have come to the gate so far, waiting or not.
    package var arrivalCount: Int { self.condition.withLock { self.arrivals } }

    package func open() {
        self.condition.withLock {
            self.isOpened = true
            self.condition.broadcast()
        }
    }

    /// Blocks the calling thread; `isCancelled` is asked about every 50 ms. Never call it from async code.
    @discardableResult
    package func wait(isCancelled: () -> Bool = { false }) -> Outcome {
        self.condition.lock()
        defer { self.condition.unlock() }
        self.arrivals += 1
        let deadline = ContinuousClock.now.advanced(by: self.timeout)
        while !self.isOpened {
            if isCancelled() { return .cancelled }
            if ContinuousClock.now >= deadline { return .timedOut }
            _ = self.condition.wait(until: Date(timeIntervalSinceNow: 0.05))
        }
        return .opened
    }

    /// Returns once `count` threads have come to the gate.
    package func waitUntilReached(by count: Int = 1) async throws {
        try await eventually("\(count) arrivals at a gate") { self.arrivalCount >= count }
    }
}
