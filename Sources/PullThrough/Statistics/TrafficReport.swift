import OCI

/// What the statistics say at one moment.
package struct TrafficReport: Sendable {
    package struct Row: Sendable {
        package let scope: TrafficLedger.Scope
        package let counts: TrafficCounts

        package init(scope: TrafficLedger.Scope, counts: TrafficCounts) {
            self.scope = scope
            self.counts = counts
        }
    }

    /// Unix seconds.
    package let at: Int64
    /// Unix seconds since when there are counts; 0 when there are none.
    package let since: Int64
    private let state: TrafficLedger.State

    init(_ state: TrafficLedger.State, at now: Int64) {
        self.state = state
        self.at = now
        self.since = state.since
    }

    /// All together.
    package func total(in window: TrafficWindow) -> TrafficCounts {
        self.state.series.values.reduce(into: TrafficCounts()) { $0 += $1.counts(in: window, at: self.at) }
    }

    /// Each registry that had traffic in the window, by name.
    package func upstreams(in window: TrafficWindow) -> [Row] {
        var sums: [String: TrafficCounts] = [:]
        for (scope, series) in self.state.series {
            guard let upstream = scope.upstream else { continue }
            let counts = series.counts(in: window, at: self.at)
            if !counts.isZero { sums[upstream, default: TrafficCounts()] += counts }
        }
        return sums.sorted { $0.key < $1.key }.map { Row(scope: .init(upstream: $0.key), counts: $0.value) }
    }

    /// Each repository that had traffic in the window, the most pulled first; what is counted together is the last of its registry's.
    package func repositories(in window: TrafficWindow) -> [Row] {
        self.state.series
            .map { Row(scope: $0.key, counts: $0.value.counts(in: window, at: self.at)) }
            .filter { !$0.counts.isZero }
            .sorted { left, right in
                if left.scope.isOthers != right.scope.isOthers { return right.scope.isOthers }
                let (a, b) = (left.counts, right.counts)
                if a[.pulls] != b[.pulls] { return a[.pulls] > b[.pulls] }
                if a[.bytesServed] != b[.bytesServed] { return a[.bytesServed] > b[.bytesServed] }
                return left.name < right.name
            }
    }

    /// A picture's points for the window, all registries together, oldest first: minutes, quarters of an hour, or hours.
    package func points(in window: TrafficWindow) -> (width: Int64, points: [TrafficSeries.Bucket]) {
        let tier: TrafficSeries.Tier =
            switch window {
            case .hour: .minutes
            case .day: .quarterHours
            case .week, .all: .fineHours
            }
        return (tier.width, self.state.fine.points(tier, at: self.at))
    }
}

extension TrafficReport.Row {
    /// For people and for sorting.
    package var name: String {
        self.scope.repository?.description ?? self.scope.upstream.map { self.scope.isOthers ? "\($0) (others)" : $0 } ?? "all"
    }
}
