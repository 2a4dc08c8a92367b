import OCI
import PullThrough

/// Statistics as events: one for all together, one for each registry and one for each repository, in each window.
extension AdminEvent {
    /// When a report was made, and since when there are counts.
    package static func statistics(_ report: TrafficReport) -> AdminEvent {
        AdminEvent("statistics").with("at", report.at).with("since", report.since)
    }

    package static func traffic(_ report: TrafficReport, in window: TrafficWindow) -> [AdminEvent] {
        let total = TrafficReport.Row(scope: .everything, counts: report.total(in: window))
        return ([total] + report.upstreams(in: window) + report.repositories(in: window)).map { .traffic($0, in: window) }
    }

    private static func traffic(_ row: TrafficReport.Row, in window: TrafficWindow) -> AdminEvent {
        var event = AdminEvent("traffic").with("window", window.rawValue)
        if let upstream = row.scope.upstream { event = event.with("upstream", upstream) }
        if let repository = row.scope.repository { event = event.with("repository", "\(repository)") }
        if row.scope.isOthers { event = event.with("others", true) }
        return event.with(row.counts)
    }

    func with(_ counts: TrafficCounts) -> AdminEvent {
        TrafficCount.allCases.reduce(self) { $0.with($1.name, counts[$1]) }
    }

    package var counts: TrafficCounts {
        TrafficCount.allCases.reduce(into: TrafficCounts()) { $0[$1] = self.number($1.name) }
    }
}
