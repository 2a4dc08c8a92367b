/// What is counted of a repository's traffic. The order is that of `statistics.json`: new ones go to the end.
package enum TrafficCount: Int, CaseIterable, Sendable {
    /// Manifests of images (not of indexes) that were sent to clients by GET.
    case pulls
    /// Answers with content from the store, also those that the registry confirmed first.
    case hits
    /// Answers with content for which the registry was asked.
    case misses
    /// Answers with content of a download that somebody else had begun.
    case collapsed
    /// Answers with a stored tag that its registry could not confirm.
    case stale
    /// Requests for what the registry does not have, or what may not be had here.
    case absent
    /// Requests that failed: the registry or this host could not answer.
    case failed
    /// Bytes of content sent to clients.
    case bytesServed
    /// Bytes of content that came from the registry.
    case bytesFetched
    /// Questions that the registry was asked: manifests, blobs, tag lists; tokens and redirects do not count.
    case upstreamRequests

    /// The name in JSON and CSV.
    package var name: String { "\(self)" }
}

/// A set of counts: of a repository or a registry, in all or in a span of time.
package struct TrafficCounts: Equatable, Sendable {
    private var values: InlineArray<10, Int64>

    package init() { self.values = InlineArray(repeating: 0) }

    package subscript(count: TrafficCount) -> Int64 {
        get { self.values[count.rawValue] }
        set { self.values[count.rawValue] = newValue }
    }

    package var isZero: Bool { TrafficCount.allCases.allSatisfy { self[$0] == 0 } }

    /// Answers with content.
    package var answers: Int64 { self[.hits] + self[.misses] + self[.collapsed] + self[.stale] }

    /// Of the answers with content, those for which nothing had to be fetched, 0...1; nil when there were none.
    package var hitRatio: Double? {
        self.answers > 0 ? Double(self.answers - self[.misses]) / Double(self.answers) : nil
    }

    /// Bytes sent to clients beyond those that came from the registry. What was fetched ahead and not pulled yet makes it 0, never less.
    package var bytesSaved: Int64 { max(0, self[.bytesServed] - self[.bytesFetched]) }

    /// Answers with content beyond the questions that the registry was asked; never less than 0.
    package var requestsSaved: Int64 { max(0, self.answers - self[.upstreamRequests]) }

    package static func += (left: inout TrafficCounts, right: TrafficCounts) {
        for count in TrafficCount.allCases { left[count] &+= right[count] }
    }

    package static func - (left: TrafficCounts, right: TrafficCounts) -> TrafficCounts {
        var difference = left
        for count in TrafficCount.allCases { difference[count] &-= right[count] }
        return difference
    }

    package static func == (left: TrafficCounts, right: TrafficCounts) -> Bool {
        TrafficCount.allCases.allSatisfy { left[$0] == right[$0] }
    }
}
