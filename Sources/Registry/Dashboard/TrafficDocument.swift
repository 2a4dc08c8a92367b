import PullThrough

/// The points of a picture of the traffic: for each step pulls, answers, misses, bytes served and bytes fetched.
struct TrafficDocument {
    private let window: TrafficWindow

    init(_ window: TrafficWindow) {
        self.window = window
    }

    func json(_ report: TrafficReport) -> String {
        let (width, points) = report.points(in: self.window)
        let values = points.map { point in
            let counts = point.counts
            return "[\(counts[.pulls]),\(counts.answers),\(counts[.misses]),\(counts[.bytesServed]),\(counts[.bytesFetched])]"
        }
        return """
            {"window":"\(self.window.rawValue)","step":\(width),"start":\(points.first?.start ?? report.at),\
            "points":[\(values.joined(separator: ","))]}

            """
    }
}

extension TrafficCounts {
    /// As a JSON object.
    var json: String {
        let counts = TrafficCount.allCases.map { "\"\($0.name)\":\(self[$0])" }.joined(separator: ",")
        return """
            {\(counts),"answers":\(self.answers),"bytesSaved":\(self.bytesSaved),"requestsSaved":\(self.requestsSaved)}
            """
    }
}
