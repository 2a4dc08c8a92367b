import Glibc
import NIOCore
import NIOHTTP1
import OCI
import PullThrough
import Storage

/// An error as the distribution spec wants it: `{"errors":[{"code","message","detail"}]}`. The one place where errors become HTTP.
struct ErrorResponse {
    let status: HTTPResponseStatus
    let code: RegistryErrorCode
    let message: String
    var retryAfter: Int?
    var allow: String?
    /// The request could be read in more ways than one, so nothing behind it is read.
    var endsConnection = false
    /// What is said in place of the document, for people.
    var text: String?
    /// The client has asked for just this: no news for the log.
    var isExpected = false
    /// Whether a registry or this host could not answer; else there is nothing to be had.
    var isFailure: Bool { !self.isExpected && (self.status.code >= 500 || self.status == .tooManyRequests) }

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
        // A target that is no path may be a part of something else.
        self.endsConnection = error.code == .unsupported
    }

    /// The store cannot open what it has. For want of descriptors or memory that passes; from a broken disk it does not.
    init(_ error: StorageError) {
        let passes = [EMFILE, ENFILE, ENOMEM].contains { $0 == error.errno?.rawValue }
        if passes {
            self.init(.serviceUnavailable, .unavailable, error.message, retryAfter: Limits.Server.retryAfter)
        } else {
            self.init(.internalServerError, .unavailable, error.message)
        }
    }

    /// What cannot be parsed.
    ///
    /// - Parameter isInTarget: it is the request line that is too long.
    init(_ error: HTTPParserError, isInTarget: Bool) {
        switch error {
        case .headerOverflow where isInTarget:
            self.init(.uriTooLong, .unsupported, "a request target has at most \(Limits.Server.target) bytes")
        case .headerOverflow:
            self.init(
                .requestHeaderFieldsTooLarge, .unsupported,
                "a request has at most \(Limits.Server.headFields) header fields, \(Limits.Server.headField) bytes in one and "
                    + "\(Limits.Server.headBlock) in all")
        case .invalidVersion:
            self.init(.httpVersionNotSupported, .unsupported, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        default: self.init(.badRequest, .unsupported, "the request is not well-formed HTTP (\(error))")
        }
    }

    /// - Parameter unknown: the code for content that is nowhere, which depends on what was asked for.
    init(_ error: PullThroughError, unknown: RegistryErrorCode) {
        switch error.code {
        case .notFound(let code):
            self.init(.notFound, code == .nameUnknown ? .nameUnknown : unknown, error.message)
        case .denied: self.init(.forbidden, .denied, error.message)
        case .rateLimited(let seconds):
            self.init(.tooManyRequests, .tooManyRequests, error.message, retryAfter: seconds ?? 60)
        // So that clients which have another source go on to it.
        case .offline: self.init(.notFound, unknown, error.message)
        case .upstreamUnavailable, .upstreamUnreachable, .invalidUpstreamResponse:
            self.init(.badGateway, .unavailable, error.message)
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

    /// The head of the response that is sent where no request was read, ready for the wire.
    var closingResponse: String {
        var text = "HTTP/1.1 \(self.status.code) \(self.status.reasonPhrase)\r\ndocker-distribution-api-version: registry/2.0\r\n"
        text += "content-type: application/json\r\ncontent-length: \(self.body.readableBytes)\r\ncache-control: no-store\r\n"
        if let retryAfter { text += "retry-after: \(retryAfter)\r\n" }
        return text + "connection: close\r\n\r\n"
    }
}
