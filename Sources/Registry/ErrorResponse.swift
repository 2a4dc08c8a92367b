import NIOCore
import NIOHTTP1
import OCI
import PullThrough

/// An error as the distribution spec wants it: `{"errors":[{"code","message","detail"}]}`. The one place where errors become HTTP.
struct ErrorResponse {
    let status: HTTPResponseStatus
    let code: RegistryErrorCode
    let message: String
    var retryAfter: Int?
    var allow: String?

    init(_ status: HTTPResponseStatus, _ code: RegistryErrorCode, _ message: String, retryAfter: Int? = nil, allow: String? = nil)
    {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
        self.allow = allow
    }

    init(_ error: RouteError) {
        self.init(error.status == .badRequest ? .badRequest : .notFound, error.code, error.message)
    }

    /// - Parameter unknown: the code for content that is nowhere, which depends on what was asked for.
    init(_ error: PullThroughError, unknown: RegistryErrorCode) {
        switch error.code {
        case .notFound(let code):
            self.init(.notFound, code == .nameUnknown ? .nameUnknown : unknown, error.message)
        case .denied: self.init(.forbidden, .denied, error.message)
        case .rateLimited(let seconds):
            self.init(.tooManyRequests, .tooManyRequests, error.message, retryAfter: seconds ?? 60)
        case .upstreamUnavailable, .invalidUpstreamResponse: self.init(.badGateway, .unavailable, error.message)
        case .upstreamTimeout: self.init(.gatewayTimeout, .unavailable, error.message)
        case .unavailable: self.init(.serviceUnavailable, .unavailable, error.message, retryAfter: 1)
        }
    }

    var body: ByteBuffer {
        ByteBuffer(
            string:
                "{\"errors\":[{\"code\":\"\(self.code.rawValue)\",\"message\":\(JSONText.quoted(self.message)),\"detail\":null}]}\n"
        )
    }
}
