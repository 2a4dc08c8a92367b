import Upstream

/// How a registry was last seen, in plain values.
package struct UpstreamReport: Sendable {
    package enum State: String, Sendable {
        /// Nothing has been asked since the start.
        case unknown
        case ok
        /// The last request failed.
        case failing
    }

    package let name: String
    package let address: String
    package let namespaces: [String]
    package let state: State
    package let secondsSinceAnswer: Int64?
    package let lastError: String?
    package let requests: Int64
    /// What the registry last said of its rate limit.
    package let rateLimitRemaining: Int?
}

extension UpstreamBinding {
    package var report: UpstreamReport {
        let status = self.client.status.snapshot
        let state: UpstreamReport.State =
            switch (status.lastAnswer, status.lastFailure) {
            case (nil, nil): .unknown
            case (_?, nil): .ok
            case (nil, _?): .failing
            case (let answer?, let failure?): failure >= answer ? .failing : .ok
            }
        return UpstreamReport(
            name: self.name, address: self.client.configuration.address.description,
            namespaces: self.namespaces.map(\.description), state: state,
            secondsSinceAnswer: status.lastAnswer.map { $0.duration(to: .now).components.seconds },
            lastError: state == .failing ? status.lastError : nil, requests: status.requests,
            rateLimitRemaining: status.rateLimitRemaining)
    }
}
