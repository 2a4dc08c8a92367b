import OCI
import PullThrough
import Registry

/// Prints what a server counted: for people, or for programs.
struct StatisticsPrinter {
    /// Since when there are counts, in Unix seconds; 0 when there are none.
    let since: Int64
    private let rows: [Row]

    struct Row {
        let window: TrafficWindow
        /// Nil for all together.
        let upstream: String?
        /// Nil for a registry as a whole.
        let repository: String?
        let isOthers: Bool
        let counts: TrafficCounts

        var name: String {
            if let repository = self.repository { return repository }
            guard let upstream = self.upstream else { return "all" }
            return self.isOthers ? "\(upstream): others" : upstream
        }
    }

    init(_ events: [AdminEvent]) {
        self.since = events.first { $0.kind == "statistics" }?.number("since") ?? 0
        self.rows = events.compactMap { event in
            guard event.kind == "traffic", let window = event.text("window").flatMap(TrafficWindow.init(rawValue:)) else {
                return nil
            }
            return Row(
                window: window, upstream: event.text("upstream"), repository: event.text("repository"),
                isOthers: event.flag("others"), counts: event.counts)
        }
    }

    func total(in window: TrafficWindow) -> TrafficCounts {
        self.rows.first { $0.window == window && $0.upstream == nil }?.counts ?? TrafficCounts()
    }

    private func upstreams(in window: TrafficWindow) -> [Row] {
        self.rows.filter { $0.window == window && $0.upstream != nil && $0.repository == nil && !$0.isOthers }
    }

    private func repositories(in window: TrafficWindow) -> [Row] {
        self.rows.filter { $0.window == window && ($0.repository != nil || $0.isOthers) }
    }

    /// The repositories with the most pulls.
    func busiest(in window: TrafficWindow, limit: Int) -> ArraySlice<Row> { self.repositories(in: window).prefix(limit) }

    // MARK: - For people

    /// - Parameters:
    ///   - window: of the tables by registry and repository.
    ///   - limit: repositories that are named; 0 is all.
    func table(_ window: TrafficWindow, limit: Int) -> [String] {
        guard self.since > 0 else { return ["Nothing has been counted yet: statistics begin with the first `amargo serve`."] }
        var lines = ["Counted since \(Quantity.date(self.since))"]
        var summary = TextTable(
            [("", .left)] + TrafficWindow.allCases.map { (title: Self.title($0), alignment: TextTable.Alignment.right) })
        for line in Line.allCases {
            summary.add([line.rawValue] + TrafficWindow.allCases.map { line.text(self.total(in: $0)) })
        }
        lines += summary.lines
        let upstreams = self.upstreams(in: window)
        guard !upstreams.isEmpty else { return lines + ["", "\(Self.phrase(window)) nothing was asked for."] }
        lines += ["", "\(Self.phrase(window)), by registry:"] + Self.rows(upstreams, "REGISTRY")
        let repositories = self.repositories(in: window)
        let named = limit > 0 ? Array(repositories.prefix(limit)) : repositories
        lines += ["", "\(Self.phrase(window)), by repository:"] + Self.rows(named, "REPOSITORY")
        if named.count < repositories.count { lines.append("and \(repositories.count - named.count) more; --top 0 shows all") }
        return lines
    }

    private enum Line: String, CaseIterable {
        case pulls
        case hits
        case collapsed
        case stale
        case misses
        case ratio = "hit ratio"
        case absent = "not found"
        case failed
        case served
        case fetched = "from registries"
        case saved
        case requests = "registry requests"
        case requestsSaved = "requests saved"

        func text(_ counts: TrafficCounts) -> String {
            switch self {
            case .pulls: "\(counts[.pulls])"
            case .hits: "\(counts[.hits])"
            case .collapsed: "\(counts[.collapsed])"
            case .stale: "\(counts[.stale])"
            case .misses: "\(counts[.misses])"
            case .ratio: StatisticsPrinter.percent(counts.hitRatio)
            case .absent: "\(counts[.absent])"
            case .failed: "\(counts[.failed])"
            case .served: Quantity.describe(bytes: counts[.bytesServed])
            case .fetched: Quantity.describe(bytes: counts[.bytesFetched])
            case .saved: Quantity.describe(bytes: counts.bytesSaved)
            case .requests: "\(counts[.upstreamRequests])"
            case .requestsSaved: "\(counts.requestsSaved)"
            }
        }
    }

    private static func title(_ window: TrafficWindow) -> String {
        switch window {
        case .hour: "LAST HOUR"
        case .day: "LAST DAY"
        case .week: "LAST WEEK"
        case .all: "IN ALL"
        }
    }

    private static func phrase(_ window: TrafficWindow) -> String {
        switch window {
        case .hour: "In the last hour"
        case .day: "In the last day"
        case .week: "In the last week"
        case .all: "In all"
        }
    }

    private static func rows(_ rows: [Row], _ title: String) -> [String] {
        var table = TextTable([
            (title, .left), ("PULLS", .right), ("HITS", .right), ("COLLAPSED", .right), ("STALE", .right), ("MISSES", .right),
            ("RATIO", .right),
            ("FAILED", .right), ("SERVED", .right), ("FETCHED", .right), ("SAVED", .right),
        ])
        for row in rows {
            let counts = row.counts
            table.add([
                row.name, "\(counts[.pulls])", "\(counts[.hits])", "\(counts[.collapsed])", "\(counts[.stale])",
                "\(counts[.misses])",
                Self.percent(counts.hitRatio), "\(counts[.failed])", Quantity.describe(bytes: counts[.bytesServed]),
                Quantity.describe(bytes: counts[.bytesFetched]), Quantity.describe(bytes: counts.bytesSaved),
            ])
        }
        return table.lines
    }

    /// Whole percents, rounded down as on the dashboard: 100 % is all.
    static func percent(_ ratio: Double?) -> String {
        guard let ratio else { return "-" }
        // 29 of 100 are 0.28999… in binary.
        return "\(ratio < 1 ? min(99, Int(ratio * 100 + 1e-9)) : 100) %"
    }

    // MARK: - For programs

    /// An object for each window and each row: all together, each registry, each repository.
    func json(_ windows: [TrafficWindow]) -> [String] {
        self.rows.filter { windows.contains($0.window) }.map { row in
            var text = "{\"window\":\"\(row.window.rawValue)\",\"since\":\(self.since)"
            text += ",\"upstream\":\(row.upstream.map(JSONText.quoted) ?? "null")"
            text += ",\"repository\":\(row.repository.map(JSONText.quoted) ?? "null"),\"others\":\(row.isOthers)"
            for count in TrafficCount.allCases { text += ",\"\(count.name)\":\(row.counts[count])" }
            text += ",\"bytesSaved\":\(row.counts.bytesSaved),\"requestsSaved\":\(row.counts.requestsSaved)"
            return text + ",\"hitRatio\":\(row.counts.hitRatio.map { "\($0)" } ?? "null")}"
        }
    }
}
