import DequeModule
import Synchronization

/// Lets so many pass at a time, in the order in which they came.
final class WarmTurns: Sendable {
    private struct Waiter {
        let number: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var free: Int
        var number = 0
        var waiters: Deque<Waiter> = []
    }

    private let state: Mutex<State>

    init(_ count: Int) {
        self.state = Mutex(State(free: count))
    }

    /// Does something in its turn; cancelled while it waits, it throws at once.
    func pass<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        try await self.enter()
        defer { self.leave() }
        return try await body()
    }

    private func enter() async throws {
        let number = self.state.withLock { state in
            state.number += 1
            return state.number
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isFree = self.state.withLock { state in
                    guard state.free == 0 else {
                        state.free -= 1
                        return true
                    }
                    state.waiters.append(Waiter(number: number, continuation: continuation))
                    return false
                }
                if isFree { return continuation.resume() }
                // The cancellation may have come before there was anybody to be told.
                if Task.isCancelled { self.giveUp(number) }
            }
        } onCancel: {
            self.giveUp(number)
        }
    }

    private func giveUp(_ number: Int) {
        let waiter = self.state.withLock { state in
            state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
        }
        waiter?.continuation.resume(throwing: CancellationError())
    }

    private func leave() {
        let next = self.state.withLock { state -> Waiter? in
            guard let next = state.waiters.popFirst() else {
                state.free += 1
                return nil
            }
            return next
        }
        next?.continuation.resume()
    }
}
