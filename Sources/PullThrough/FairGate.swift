import OCI
import Synchronization

/// How many questions an upstream is asked at once. Who has to wait is let in in turn, one repository after the other, and no
/// repository takes more than half of the places: trouble in one of them does not hold up the others.
final class FairGate: Sendable {
    private typealias Waiter = CheckedContinuation<Void, any Error>

    private struct State {
        var rules: StateMachine
        var waiters: [StateMachine.Ticket: Waiter] = [:]
        /// Let in before they had begun to wait.
        var early: Set<StateMachine.Ticket> = []
    }

    private let state: Mutex<State>

    init(limit: Int) {
        self.state = Mutex(State(rules: StateMachine(limit: limit)))
    }

    /// Asks a question when there is a place for it.
    ///
    /// - Parameter patience: how long anybody waits for a place.
    func pass<T: Sendable>(
        _ repository: RepositoryName, within patience: Duration, _ question: () async throws -> T
    ) async throws -> T {
        let ticket = self.state.withLock { $0.rules.arrive(repository) }
        if let ticket { try await self.wait(ticket, within: patience) }
        defer { self.leave(repository) }
        return try await question()
    }

    private func wait(_ ticket: StateMachine.Ticket, within patience: Duration) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                try await Task.sleep(for: patience)
                self.giveUp(ticket, PullThroughError(.unavailable, "too many questions to the upstream wait already"))
            }
            try await self.wait(ticket)
        }
    }

    private func wait(_ ticket: StateMachine.Ticket) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: Waiter) in
                let isAdmitted = self.state.withLock { state in
                    if state.early.remove(ticket) != nil { return true }
                    state.waiters[ticket] = waiter
                    return false
                }
                if isAdmitted { return waiter.resume() }
                if Task.isCancelled { self.giveUp(ticket, CancellationError()) }
            }
        } onCancel: {
            self.giveUp(ticket, CancellationError())
        }
    }

    private func giveUp(_ ticket: StateMachine.Ticket, _ error: any Error) {
        let waiter = self.state.withLock { state -> Waiter? in
            guard let waiter = state.waiters.removeValue(forKey: ticket) else { return nil }
            state.rules.cancel(ticket)
            return waiter
        }
        waiter?.resume(throwing: error)
    }

    private func leave(_ repository: RepositoryName) {
        let waiters = self.state.withLock { state in
            var waiters: [Waiter] = []
            for ticket in state.rules.leave(repository) {
                if let waiter = state.waiters.removeValue(forKey: ticket) {
                    waiters.append(waiter)
                } else {
                    state.early.insert(ticket)
                }
            }
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
