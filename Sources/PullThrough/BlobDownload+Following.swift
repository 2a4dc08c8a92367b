import OCI
import Synchronization

/// Who waits for a download, where that decides whether it goes on.
extension BlobDownload {
    /// Counts a follower; false when the download has been given up, and another one is to be made.
    func join() -> Bool {
        self.following.withLock { following in
            guard !following.isAbandoned else { return false }
            following.count += 1
            return true
        }
    }

    /// A follower has all it wanted, or is gone. Called once for each that joined.
    ///
    /// - Parameter givingUp: whether what nobody else follows need not go on, whatever the configuration says; its part is kept.
    package func leave(givingUp: Bool = false) {
        let isLast = self.following.withLock { following in
            following.count -= 1
            return following.count == 0
        }
        if isLast, givingUp || !self.source.upstream.finishAbandoned { self.departures.continuation.yield() }
    }

    var isAbandoned: Bool { self.following.withLock { $0.isAbandoned } }

    /// Does the work; where a download shall not outlive its followers, for as long as there are any.
    func whileFollowed(_ work: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await work() }
            group.addTask {
                for await _ in self.departures.stream {
                    try await Task.sleep(for: self.source.upstream.caution.abandonment)
                    if self.abandon() { throw PullThroughError(.unavailable, "nobody waits for \(self.digest) any more") }
                }
                throw CancellationError()
            }
            try await group.next()
        }
    }

    /// Gives the download up unless somebody has joined meanwhile.
    private func abandon() -> Bool {
        self.following.withLock { following in
            following.isAbandoned = following.isAbandoned || following.count == 0
            return following.isAbandoned
        }
    }

    struct Following {
        var count = 0
        var isAbandoned = false
    }
}
