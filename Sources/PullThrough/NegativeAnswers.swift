import OCI

/// What an upstream said it does not have, for a few seconds: names that do not exist must not burn its quota.
///
/// Only a 404 is remembered, no other failure, and what is stored always wins.
final class NegativeAnswers: Sendable {
    private struct Key: Hashable, Sendable {
        let repository: QualifiedRepository
        let reference: Reference
    }

    private let lifetime: Duration
    private let entries = FailureMemory<Key>(limit: Limits.Memory.absences)

    init(lifetime: Duration) {
        self.lifetime = lifetime
    }

    func error(_ reference: Reference, in repository: QualifiedRepository) -> PullThroughError? {
        self.entries.error(Key(repository: repository, reference: reference))
    }

    /// Remembers an error if it is one to be remembered.
    func note(_ error: any Error, _ reference: Reference, in repository: QualifiedRepository) {
        let failure = PullThroughError(error)
        guard case .notFound = failure.code else { return }
        self.entries.note(failure, Key(repository: repository, reference: reference), for: self.lifetime)
    }
}
