import Logging
import OCI
import Upstream

/// Fetches a blob into an intake, asking for the rest when a connection breaks.
///
/// A break costs followers a pause: up to three ranged requests in a row, and each MiB of progress renews the budget.
struct BlobTransfer {
    private static let resumes = 3
    private static let progress: Int64 = 1 << 20

    let digest: Digest
    let source: RoutedRepository
    let logger: Logger

    /// - Parameters:
    ///   - last: the last byte that is wanted; nil for the end of the blob.
    ///   - position: the byte from which on the content is still wanted.
    func run(into intake: BlobIntake, through last: Int64? = nil, position: () -> Int64) async throws {
        var budget = Self.resumes
        var mark = position()
        while true {
            do {
                let start = position()
                try await self.source.upstream.client.blob(
                    self.digest, in: self.source.repository.name,
                    range: start == 0 && last == nil ? .whole : .from(start, through: last),
                    receiver: intake)
                try await intake.waitUntilIdle()
                return
            } catch let error as UpstreamError {
                if let failure = intake.failure { throw failure }
                guard error.code == .interrupted, intake.hasBegun, budget > 0 else { throw error }
                try await intake.waitUntilIdle()
                if position() - mark >= Self.progress {
                    mark = position()
                    budget = Self.resumes
                }
                budget -= 1
                self.logger.notice(
                    "[\(self.source.upstream.name)] Resuming blob \(self.digest) at byte \(position()): \(error.message)")
                try await Task.sleep(for: .milliseconds(Int64.random(in: 50...500)))
            }
        }
    }
}
