import Synchronization

/// Tells long work on a thread that it shall end.
package final class StopFlag: Sendable {
    private let raised = Atomic(false)

    package init() {}

    package var isRaised: Bool { self.raised.load(ordering: .relaxed) }

    package func raise() { self.raised.store(true, ordering: .relaxed) }
}
