/// What kind of failure of a registry it is: few, for counting.
package enum UpstreamErrorClass: Int, CaseIterable, Sendable {
    /// Name, connection or TLS failed.
    case unreachable
    /// No answer in time.
    case timeout
    /// 5xx.
    case serverError
    /// 429.
    case rateLimited
    /// 401 after a fresh token, or 403.
    case denied
    /// An answer that cannot be what was asked for.
    case invalid
    /// A body ended before its end, or came too slowly.
    case interrupted
    /// Content that is not what its digest says.
    case wrongContent

    /// Nil for what is an answer like others: that there is no such thing, or no such range; and for our own end.
    init?(_ code: UpstreamError.Code) {
        switch code {
        case .unreachable: self = .unreachable
        case .timeout: self = .timeout
        case .unavailable: self = .serverError
        case .rateLimited: self = .rateLimited
        case .denied: self = .denied
        case .invalidResponse, .notModified: self = .invalid
        case .interrupted: self = .interrupted
        case .notFound, .rangeIgnored, .cancelled: return nil
        }
    }

    /// The name in metrics and reports.
    package var name: String {
        switch self {
        case .serverError: "server_error"
        case .rateLimited: "rate_limited"
        case .wrongContent: "wrong_content"
        case .unreachable, .timeout, .denied, .invalid, .interrupted: "\(self)"
        }
    }
}
