/// Until when whoever waits is willing to: one time for all that is asked for one answer, also by several requests in a row and
/// behind a queue.
package enum AskingTime {
    @TaskLocal private static var end: ContinuousClock.Instant?

    /// When a request that may take `budget` has to be over.
    package static func deadline(within budget: Duration) -> ContinuousClock.Instant {
        let own = ContinuousClock.now + budget
        return Self.end.map { min($0, own) } ?? own
    }

    /// How much of `budget` is left; never negative.
    package static func remaining(of budget: Duration) -> Duration {
        max(.zero, ContinuousClock.now.duration(to: Self.deadline(within: budget)))
    }

    /// Runs what together may take no longer than `budget`, nor than what it is a part of.
    package static func limited<T>(to budget: Duration, _ work: () async throws -> T) async rethrows -> T {
        try await Self.$end.withValue(Self.deadline(within: budget), operation: work)
    }
}
