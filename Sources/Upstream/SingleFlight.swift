import Synchronization

/// Lets one caller do what many want at the same time; the others get its result.
///
/// The work runs in the task of whoever came first. If that task is cancelled, the next who waits does it instead.
package final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private enum Verdict: Sendable {
        case finished(Result<Value, any Error>)
        case tryAgain
    }

    private typealias Waiter = CheckedContinuation<Verdict, Never>

    private let flights = Mutex<[Key: [Waiter]]>([:])

    package init() {}

    /// Runs `work`, or waits for somebody else's run for the same key that is under way.
    package func run(_ key: Key, _ work: () async throws -> Value) async throws -> Value {
        while true {
            let isFirst = self.flights.withLock { flights in
                guard flights[key] == nil else { return false }
                flights[key] = []
                return true
            }
            if isFirst {
                let result: Result<Value, any Error>
                do {
                    result = .success(try await work())
                } catch {
                    result = .failure(error)
                }
                let verdict: Verdict = Task.isCancelled && result.isFailure ? .tryAgain : .finished(result)
                for waiter in self.flights.withLock({ $0.removeValue(forKey: key) ?? [] }) { waiter.resume(returning: verdict) }
                return try result.get()
            }
            let verdict = await withCheckedContinuation { (continuation: Waiter) in
                let isLate = self.flights.withLock { flights in
                    guard flights[key] != nil else { return true }
                    flights[key]?.append(continuation)
                    return false
                }
                if isLate { continuation.resume(returning: .tryAgain) }
            }
            if case .finished(let result) = verdict { return try result.get() }
            try Task.checkCancellation()
        }
    }
}

extension Result {
    fileprivate var isFailure: Bool {
        if case .failure = self { true } else { false }
    }
}
