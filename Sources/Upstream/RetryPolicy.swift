import OCI

/// When to ask again: few times, soon, and never all at once.
struct RetryPolicy: Sendable {
    var attempts = Limits.Upstream.attempts
    var firstDelay = Duration.milliseconds(50)
    var longestDelay = Duration.seconds(2)

    /// How long to wait before attempt `number` (the second is 1); nil when there shall be none.
    ///
    /// Full jitter: anything between nothing and a limit that doubles, so that clients which failed together do not come
    /// back together. A connection that was closed as we used it is worth one attempt at once.
    func delay(
        before number: Int, after error: UpstreamError, remaining: Duration, random: Double
    ) -> Duration? {
        guard number < self.attempts, error.isWorthRetrying, remaining > .zero else { return nil }
        if number == 1, error.code == .interrupted { return .zero }
        let limit = min(self.firstDelay * (1 << min(number, 10)), self.longestDelay)
        let delay = limit * random
        return delay < remaining ? delay : nil
    }
}
