import OCI
import Upstream

/// How a registry was last seen, in plain values.
package struct UpstreamReport: Sendable {
    package enum State: String, Sendable {
        /// Nothing has been asked since the start.
        case unknown
        case ok
        /// The last request failed.
        case failing
        /// It is never asked.
        case offline
    }

    package let name: String
    package let address: String
    package let namespaces: [String]
    package let state: State
    package let secondsSinceAnswer: Int64?
    package let lastError: String?
    /// The last failure, whatever has come since.
    package let lastFailure: (message: String, secondsAgo: Int64)?
    package let requests: Int64
    /// Mirrors and the registry itself, in the order in which they are asked.
    package let places: [(address: String, isLeftAlone: Bool)]
    /// What the registry last said of its rate limit.
    package let rateLimit: RateLimit?
    /// By how much longer than usual its tags are believed.
    package let stretch: Int
    /// The same, as long as it is true.
    package let currentRateLimit: RateLimit?
    /// Whether the last that was heard of it is that it cannot be reached, or fails.
    package let isDown: Bool
    /// How long ago there was an answer; nil when there was none.
    package let answeredAgo: Duration?
    /// How long the head of an answer takes: of late, and all since this process began.
    package let recentLatency: Duration?
    package let latency: Histogram.Snapshot
    /// Requests that failed since this process began, by class, in a fixed order.
    package let errors: [(name: String, count: Int64)]

    package var errorCount: Int64 { self.errors.reduce(0) { $0 + $1.count } }
}

extension UpstreamBinding {
    package var report: UpstreamReport {
        let status = self.client.status.snapshot
        let state: UpstreamReport.State =
            switch (self.isOffline, status.lastAnswer, status.lastFailure) {
            case (true, _, _): .offline
            case (_, nil, nil): .unknown
            case (_, _?, nil): .ok
            case (_, nil, _?): .failing
            case (_, let answer?, let failure?): failure >= answer ? .failing : .ok
            }
        return UpstreamReport(
            name: self.name, address: self.client.configuration.address.description,
            namespaces: self.namespaces.map(\.description), state: state,
            secondsSinceAnswer: status.lastAnswer.map { $0.duration(to: .now).components.seconds },
            lastError: state == .failing ? status.lastError : nil, lastFailure: Self.lastFailure(status),
            requests: status.requests,
            places: self.client.places.map { ($0.address.description, $0.isOpen) }, rateLimit: status.rateLimit,
            stretch: self.client.status.stretch, currentRateLimit: self.client.status.currentRateLimit,
            isDown: self.client.status.isDown, answeredAgo: status.lastAnswer.map { $0.duration(to: .now) },
            recentLatency: status.recentLatency, latency: self.client.status.latency.snapshot,
            errors: UpstreamErrorClass.allCases.map { ($0.name, self.client.status.errors($0)) })
    }

    private static func lastFailure(_ status: UpstreamStatus.Snapshot) -> (message: String, secondsAgo: Int64)? {
        guard let at = status.lastFailure, let message = status.lastError else { return nil }
        return (message, at.duration(to: .now).components.seconds)
    }
}
