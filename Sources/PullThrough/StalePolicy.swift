/// Why an upstream could not be heard, as far as a decision depends on it.
package enum FailureClass: String, Sendable, Hashable, CaseIterable {
    /// Its name, connection or TLS failed, or no answer came in time; 408 and 504 say the same of a place further up.
    case network
    /// 401 after a fresh token, or 403.
    case denied
    /// 404: it says that there is none.
    case notFound
    /// 429.
    case rateLimited
    /// 5xx, and answers that make no sense.
    case serverError
}

/// For which failures of its upstream a stored tag is served as it was last known, instead of the failure.
///
/// All but `notFound` by default: a registry that says that a tag is gone has answered, and is believed. Age does not matter: what
/// is stored is served however old it is. Our own failures and being offline are no reason to withhold what is stored.
package struct StalePolicy: Sendable, Hashable {
    package var served: Set<FailureClass>

    package init(serving served: Set<FailureClass> = Set(FailureClass.allCases).subtracting([.notFound])) {
        self.served = served
    }

    func serves(after error: PullThroughError) -> Bool { error.failureClass.map { self.served.contains($0) } ?? true }
}

extension PullThroughError {
    /// Nil when it is no upstream that failed.
    var failureClass: FailureClass? {
        switch self.code {
        case .upstreamUnreachable, .upstreamTimeout: .network
        case .denied: .denied
        case .notFound: .notFound
        case .rateLimited: .rateLimited
        case .upstreamUnavailable, .invalidUpstreamResponse: .serverError
        case .offline, .unavailable: nil
        }
    }
}
