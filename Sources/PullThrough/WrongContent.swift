import OCI
import Synchronization

/// Content for which an upstream sent something else, so that a broken registry is not read from start to end again and again.
final class WrongContent: Sendable {
    private let caution: UpstreamCaution
    private let refused = FailureMemory<Digest>(limit: Limits.Memory.wrongContent)
    /// When each digest turned out wrong, within the window.
    private let times = Mutex<[Digest: [ContinuousClock.Instant]]>([:])

    init(_ caution: UpstreamCaution) {
        self.caution = caution
    }

    /// Why content is not asked for at present; nil when it may be.
    func error(_ digest: Digest) -> PullThroughError? { self.refused.error(digest) }

    /// The upstream announces another size than the manifest names.
    func noteSize(of digest: Digest, _ error: PullThroughError) {
        self.refused.note(error, digest, for: self.caution.wrongSize)
    }

    /// The bytes were not those of the digest.
    ///
    /// - Returns: whether that was once too often: somebody should have a look.
    func note(_ digest: Digest, _ error: PullThroughError, at now: ContinuousClock.Instant = .now) -> Bool {
        let count = self.times.withLock { times in
            if times.count >= Limits.Memory.wrongContent { times.removeAll() }
            let recent = (times[digest] ?? []).filter { $0.duration(to: now) < self.caution.wrongContentWindow } + [now]
            let isTooMuch = recent.count >= self.caution.wrongContentFetches
            times[digest] = isTooMuch ? nil : recent
            return recent.count
        }
        guard count >= self.caution.wrongContentFetches else { return false }
        self.refused.note(error, digest, for: self.caution.wrongContentWindow)
        return true
    }
}
