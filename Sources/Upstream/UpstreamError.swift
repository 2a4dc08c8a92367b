import OCI

/// Why an upstream registry did not give what was asked for. `message` names the host and the cause.
package struct UpstreamError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The registry says that it has no such thing; the code is its own, if it gave one.
        case notFound(RegistryErrorCode?)
        /// 401 after a fresh token, or 403.
        case denied
        /// 429; the wait in seconds is what the registry asked for.
        case rateLimited(retryAfter: Int?)
        /// 5xx.
        case unavailable
        /// No answer in time.
        case timeout
        /// Name, connection or TLS failed.
        case unreachable
        /// An answer that cannot be what was asked for: wrong status, type, length, framing, redirect.
        case invalidResponse
        /// 304, although we make no conditions.
        case notModified
        /// A body ended before its end; asking for the rest may help.
        case interrupted
        /// A request for the rest of a blob was not answered with just that.
        case rangeIgnored
        /// This process is shutting down.
        case cancelled
    }

    package let code: Code
    package let message: String
    /// Whether it says nothing of the place that was asked: our own limit was reached, or it was somebody else who failed.
    package private(set) var isOthers = false

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The same, when it is no failure of the place that was asked.
    var ofOthers: UpstreamError {
        var copy = self
        copy.isOthers = true
        return copy
    }

    package var description: String { self.message }

    /// Whether the same request may well succeed at once or a little later.
    var isWorthRetrying: Bool {
        switch self.code {
        case .unavailable, .timeout, .unreachable, .interrupted: true
        default: false
        }
    }
}
