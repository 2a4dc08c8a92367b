import OCI
import Storage
import Synchronization

/// What became of a download, for those who want its content stored and not its bytes.
extension BlobDownload {
    package enum Outcome: Sendable {
        case stored
        /// The upstream gave it, and it could not be kept.
        case unstored(StorageError)
        case failed(PullThroughError)
    }

    /// What is known of the end, and who waits for it.
    struct Ending {
        var outcome: Outcome?
        /// Why it is not stored, before the download has ended.
        var refusal: StorageError?
        var waiters: [Int: CheckedContinuation<Outcome, any Error>] = [:]
        var number = 0
    }

    /// Returns when the download has ended. Cancelled, it throws at once, and the download goes on.
    package func wait() async throws -> Outcome {
        let number = self.outcomes.withLock { ending in
            ending.number += 1
            return ending.number
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<Outcome, any Error>) in
                let outcome = self.outcomes.withLock { ending in
                    if ending.outcome == nil { ending.waiters[number] = waiter }
                    return ending.outcome
                }
                if let outcome { return waiter.resume(returning: outcome) }
                // The cancellation may have come before there was anybody to be told.
                if Task.isCancelled { self.stopWaiting(number) }
            }
        } onCancel: {
            self.stopWaiting(number)
        }
    }

    private func stopWaiting(_ number: Int) {
        self.outcomes.withLock { $0.waiters.removeValue(forKey: number) }?.resume(throwing: CancellationError())
    }

    /// Notes that the content could not be kept.
    func noteUnstored(_ error: StorageError) { self.outcomes.withLock { $0.refusal = $0.refusal ?? error } }

    /// Says how the download has ended, once.
    ///
    /// - Parameter failure: why there is no content.
    func end(_ failure: PullThroughError?) {
        let (outcome, waiters) = self.outcomes.withLock { ending -> (Outcome, [CheckedContinuation<Outcome, any Error>]) in
            let outcome: Outcome =
                ending.outcome ?? failure.map { .failed($0) } ?? ending.refusal.map { .unstored($0) } ?? .stored
            ending.outcome = outcome
            defer { ending.waiters = [:] }
            return (outcome, Array(ending.waiters.values))
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }
}
