import OCI
import Synchronization

/// What an upstream said it does not have, for a few seconds: names that do not exist must not burn its quota.
///
/// Only a 404 is remembered, no other failure, and what is stored always wins.
final class NegativeAnswers: Sendable {
    struct Key: Hashable, Sendable {
        let repository: QualifiedRepository
        let reference: Reference
    }

    private struct Entry {
        let error: PullThroughError
        let until: ContinuousClock.Instant
    }

    private static let limit = 10_000
    private let lifetime: Duration
    private let entries = Mutex<[Key: Entry]>([:])

    init(lifetime: Duration) {
        self.lifetime = lifetime
    }

    func error(_ reference: Reference, in repository: QualifiedRepository) -> PullThroughError? {
        let key = Key(repository: repository, reference: reference)
        return self.entries.withLock { entries in
            guard let entry = entries[key] else { return nil }
            if entry.until > .now { return entry.error }
            entries[key] = nil
            return nil
        }
    }

    /// Remembers an error if it is one to be remembered.
    func note(_ error: any Error, _ reference: Reference, in repository: QualifiedRepository) {
        let failure = PullThroughError(error)
        guard case .notFound = failure.code, self.lifetime > .zero else { return }
        self.entries.withLock { entries in
            if entries.count >= Self.limit { entries.removeAll() }
            entries[Key(repository: repository, reference: reference)] = Entry(error: failure, until: .now + self.lifetime)
        }
    }
}
