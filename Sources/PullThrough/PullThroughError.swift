import OCI
import Storage
import Upstream

/// Why content cannot be given. What it means in HTTP is decided in one other place.
package struct PullThroughError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// Neither here nor upstream; with the upstream's own code, if it gave one.
        case notFound(RegistryErrorCode?)
        case denied
        /// The upstream limits requests; the wait in seconds, if it said one.
        case rateLimited(retryAfter: Int?)
        /// The upstream fails.
        case upstreamUnavailable
        /// The upstream cannot be reached, or breaks off.
        case upstreamUnreachable
        case upstreamTimeout
        /// The upstream sent something that is not what was asked for.
        case invalidUpstreamResponse
        /// Not stored, and this upstream is never asked.
        case offline
        /// This process is ending, or something here failed.
        case unavailable
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package init(_ error: any Error) {
        switch error {
        case let error as PullThroughError: self = error
        case let error as UpstreamError:
            let code: Code =
                switch error.code {
                case .notFound(let code): .notFound(code)
                case .denied: .denied
                case .rateLimited(let seconds): .rateLimited(retryAfter: seconds)
                case .unavailable: .upstreamUnavailable
                case .unreachable, .interrupted: .upstreamUnreachable
                case .timeout: .upstreamTimeout
                case .invalidResponse, .rangeIgnored, .notModified: .invalidUpstreamResponse
                case .cancelled: .unavailable
                }
            self.init(code, error.message)
        case is CancellationError: self.init(.unavailable, "Amargo is stopping")
        default: self.init(.unavailable, "\(error)")
        }
    }

    package var description: String { self.message }
}
