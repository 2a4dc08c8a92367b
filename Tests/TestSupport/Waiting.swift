import Foundation
import Synchronization

/// How long a wait on a condition may take before the test fails instead of hanging.
package let defaultWait = Duration.seconds(60)

/// Returns once `condition` holds; throws `timedOut`, naming `what`, if it does not within `timeout`.
///
/// This polls every 5 ms and is the only place in the tests that sleeps to wait.
package func eventually(
    _ what: String, within timeout: Duration = defaultWait, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now.advanced(by: timeout)
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            throw TestSupportError(.timedOut, "waited \(timeout) for \(what)")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Runs blocking work on a thread of its own, never on the cooperative pool.
package func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    // What the work holds, such as an open store, is let go of before the caller goes on: the thread may end later.
    let job = Mutex<(@Sendable () throws -> Value)?>(work)
    return try await withCheckedThrowingContinuation { continuation in
        Thread {
            var work = job.withLock { $0.take() }
            let result = Result { try (work ?? { throw CancellationError() })() }
            work = nil
            continuation.resume(with: result)
        }.start()
    }
}

extension Duration {
    var inSeconds: Double {
        Double(self.components.seconds) + Double(self.components.attoseconds) * 1e-18
    }
}
