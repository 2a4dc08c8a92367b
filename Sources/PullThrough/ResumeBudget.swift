import OCI

/// How often a broken body is asked for again: three times in a row and for half a minute, renewed by each MiB of progress. Pure.
struct ResumeBudget: Sendable {
    private static let progress: Int64 = 1 << 20

    private let time: Duration
    private var left = Limits.Upstream.resumes
    private var mark: Int64
    /// The first break since the last progress.
    private var brokenAt: ContinuousClock.Instant?

    /// - Parameter position: the first byte that is asked for.
    init(at position: Int64, time: Duration) {
        self.mark = position
        self.time = time
    }

    /// A body broke at a byte; true when the rest may be asked for.
    mutating func spend(at position: Int64, now: ContinuousClock.Instant) -> Bool {
        if position - self.mark >= Self.progress {
            self.mark = position
            self.left = Limits.Upstream.resumes
            self.brokenAt = nil
        }
        let first = self.brokenAt ?? now
        self.brokenAt = first
        guard self.left > 0, first.duration(to: now) < self.time else { return false }
        self.left -= 1
        return true
    }
}
