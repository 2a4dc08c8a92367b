import Synchronization

/// Failures that are answered from memory for a while, so that nobody asks in vain again and again. Bounded.
final class FailureMemory<Key: Hashable & Sendable>: Sendable {
    private struct Entry {
        let error: PullThroughError
        let until: ContinuousClock.Instant
    }

    private let limit: Int
    private let entries = Mutex<[Key: Entry]>([:])

    init(limit: Int) {
        self.limit = limit
    }

    func error(_ key: Key) -> PullThroughError? {
        self.entries.withLock { entries in
            guard let entry = entries[key] else { return nil }
            if entry.until > .now { return entry.error }
            entries[key] = nil
            return nil
        }
    }

    func note(_ error: PullThroughError, _ key: Key, for lifetime: Duration) {
        guard lifetime > .zero else { return }
        self.entries.withLock { entries in
            if entries.count >= self.limit { entries.removeAll() }
            entries[key] = Entry(error: error, until: .now + lifetime)
        }
    }
}
