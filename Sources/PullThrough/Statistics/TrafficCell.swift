import OCI
import Synchronization

/// Counts what happens to one repository. Adding takes no lock and allocates nothing.
package final class TrafficCell: Sendable {
    /// Nil for all those that have no cell of their own.
    package let repository: QualifiedRepository?
    package let upstream: UpstreamTraffic
    private let values: InlineArray<10, Atomic<Int64>>
    /// Somebody else counts for it: it has long had nothing to count, and others needed its place.
    private let isRetired = Atomic(false)

    init(_ repository: QualifiedRepository?, of upstream: UpstreamTraffic) {
        self.repository = repository
        self.upstream = upstream
        self.values = InlineArray { _ in Atomic(0) }
    }

    package func add(_ amount: Int64 = 1, to count: TrafficCount) {
        if self.isRetired.load(ordering: .relaxed), self.repository != nil {
            return self.upstream.others.add(amount, to: count)
        }
        self.values[count.rawValue].wrappingAdd(amount, ordering: .relaxed)
    }

    /// Counts an answer, or a request that got none.
    package func note(_ outcome: RequestOutcome, _ kind: RequestKind) {
        // A list is no content: in reports it would make a ratio of what nobody pulls.
        if kind != .list { self.add(to: outcome.count) }
        self.upstream.note(outcome, kind)
    }

    /// What was counted since this process began.
    package var counts: TrafficCounts {
        var counts = TrafficCounts()
        for count in TrafficCount.allCases { counts[count] = self.values[count.rawValue].load(ordering: .relaxed) }
        return counts
    }

    /// Whoever still has this adds to the cell of all others from now on.
    func retire() { self.isRetired.store(true, ordering: .relaxed) }
}
