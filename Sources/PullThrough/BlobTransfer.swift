import Logging
import OCI
import Upstream

/// Fetches a blob into an intake, asking for the rest when a connection breaks.
///
/// A break costs followers a pause while a few ranged requests are tried. A registry that answers those with the whole blob is read
/// from the start, and what is here already is compared and dropped.
struct BlobTransfer {
    let digest: Digest
    let source: RoutedRepository
    let logger: Logger

    /// - Parameters:
    ///   - last: the last byte that is wanted; nil for the end of the blob.
    ///   - position: the byte from which on the content is still wanted.
    func run(into intake: BlobIntake, through last: Int64? = nil, position: () -> Int64) async throws {
        var budget = ResumeBudget(at: position(), time: self.source.upstream.caution.resuming)
        var isReplaying = false
        while true {
            do {
                let start = isReplaying ? 0 : position()
                try await self.source.blob(
                    self.digest, range: start == 0 && last == nil ? .whole : .from(start, through: last), receiver: intake)
                try await intake.waitUntilIdle()
                return
            } catch let error as UpstreamError {
                if let failure = intake.failure { throw failure }
                guard intake.hasBegun, error.isWorthResuming else { throw self.giveUp(error) }
                try await intake.waitUntilIdle()
                guard budget.spend(at: position(), now: .now) else { throw self.giveUp(error) }
                if error.code == .rangeIgnored {
                    guard last == nil else { throw error }
                    isReplaying = true
                }
                if isReplaying { intake.replay() }
                self.logger.notice(
                    "[\(self.source.upstream.name)] Resuming blob \(self.digest) at byte \(position()): \(error.message)")
                try await Task.sleep(for: .milliseconds(Int64.random(in: 50...500)))
            }
        }
    }

    private func giveUp(_ error: UpstreamError) -> UpstreamError {
        self.source.noteDenial(error)
        return error
    }
}

extension UpstreamError {
    /// Whether the rest of a body that has begun may still be had. A denial may be that of a signed address which has expired: the
    /// registry gives another. One that fails or does not answer has been asked five times by now.
    fileprivate var isWorthResuming: Bool {
        switch self.code {
        case .interrupted, .unreachable, .rangeIgnored, .denied: true
        default: false
        }
    }
}
