import Foundation

/// How long a wait on a condition may take before the test fails instead of hanging.
package let defaultWait = Duration.seconds(20)

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
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result(catching: work)) }.start()
    }
}

extension Duration {
    var inSeconds: Double {
        Double(self.components.seconds) + Double(self.components.attoseconds) * 1e-18
    }
}
