import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import OCI

/// What a failure means, in words that name the host.
extension RegistryClient {
    static func retryAfter(_ head: HTTPResponseHead) -> Int? {
        head.headers.first(name: "retry-after").flatMap { RetryAfter.seconds($0, now: Int64(time(nil))) }
    }

    /// What a response that is not the content means.
    func error(for response: ExchangeDelegate.Response, _ request: RegistryRequest, at endpoint: Endpoint) -> UpstreamError {
        let code = Int(response.head.status.code)
        let what = "\(request.repository)/\(request.path)"
        func say(_ words: String) -> String { "\(endpoint.address.authority) \(words)" }
        switch code {
        case 404: return UpstreamError(.notFound(Self.errorCode(in: response.body)), say("has no \(what)"))
        case 401, 403: return UpstreamError(.denied, say("denies access to \(what) (status \(code))"))
        case 304: return UpstreamError(.notModified, say("answered 304 to a request without a condition"))
        case 416: return UpstreamError(.rangeIgnored, say("has no such range of \(what)"))
        case 429:
            return UpstreamError(.rateLimited(retryAfter: Self.retryAfter(response.head)), say("limits our requests (429)"))
        case 408: return UpstreamError(.timeout, say("answered 408"))
        case 504: return UpstreamError(.timeout, say("answered 504"))
        // It may be that one name alone; and behind a redirect it is another host that fails.
        case 500: return UpstreamError(.unavailable, say("answered 500")).ofOthers
        // 501 is no weather: the registry does not know the method, and never will.
        case 502...:
            let error = UpstreamError(.unavailable, say("answered \(code)"))
            return response.isElsewhere ? error.ofOthers : error
        default: return UpstreamError(.invalidResponse, say("answered \(code) to a request for \(what)"))
        }
    }

    private static func errorCode(in body: ByteBuffer) -> RegistryErrorCode? {
        var code: RegistryErrorCode?
        do {
            try body.withUnsafeReadableBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        guard key == "errors", try reader.peek() == .array else { return try reader.skipValue() }
                        try reader.array { reader in
                            try reader.object { reader, key in
                                guard key == "code", try reader.peek() == .string else { return try reader.skipValue() }
                                let text = try reader.string()
                                code = code ?? RegistryErrorCode(rawValue: text)
                            }
                        }
                    }
                }
            }
        } catch {
            return nil  // an error page is not a document of ours to read
        }
        return code
    }

    static func describe(_ error: any Error, host: String) -> UpstreamError {
        switch error {
        case let error as UpstreamError:
            return error.message.hasPrefix(host) ? error : UpstreamError(error.code, "\(host) \(error.message)")
        case is CancellationError: return UpstreamError(.cancelled, "the request to \(host) was cancelled")
        case let error as HTTPClientError:
            switch error {
            case .cancelled: return UpstreamError(.cancelled, "the request to \(host) was cancelled")
            case .connectTimeout: return UpstreamError(.unreachable, "\(host) cannot be reached: no connection in time")
            case .proxyAuthenticationRequired:
                return UpstreamError(.unreachable, "\(host) cannot be reached: the proxy wants a name and a password (407)")
            case .invalidProxyResponse, .httpProxyHandshakeTimeout:
                return UpstreamError(
                    .unreachable, "\(host) cannot be reached: the proxy makes no tunnel; are its name and password right?")
            case .tlsHandshakeTimeout: return UpstreamError(.unreachable, "\(host) cannot be reached: no TLS handshake in time")
            case .getConnectionFromPoolTimeout:
                return UpstreamError(.timeout, "all connections to \(host) are in use").ofOthers
            case .readTimeout, .writeTimeout, .deadlineExceeded:
                return UpstreamError(.timeout, "\(host) did not answer in time")
            case .remoteConnectionClosed: return UpstreamError(.interrupted, "\(host) closed the connection")
            default: return UpstreamError(.invalidResponse, "\(host): \(error.shortDescription)")
            }
        case let error as ForbiddenAddress:
            return UpstreamError(
                .invalidResponse,
                "\(host) is in a private network (\(error.address)), into which a public registry is not followed")
        case let error as NIOConnectionError:
            if error.dnsAError != nil || error.dnsAAAAError != nil, error.connectionErrors.isEmpty {
                return UpstreamError(.unreachable, "\(host) cannot be resolved")
            }
            let reason = error.connectionErrors.first.map { Self.reason($0.error) } ?? "no address answers"
            return UpstreamError(.unreachable, "\(host) cannot be reached: \(reason)")
        case let error as NIOSSLError: return UpstreamError(.unreachable, "\(host) cannot be reached: TLS failed (\(error))")
        case let error as NIOSSLExtraError: return UpstreamError(.unreachable, "\(host) cannot be reached: TLS failed (\(error))")
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            return UpstreamError(.unreachable, "\(host) cannot be reached: \(Self.reason(error))")
        case let error as IOError: return UpstreamError(.interrupted, "\(host): \(Self.reason(error))")
        // A connection that was kept open has been closed by the registry just as it was to be used.
        case ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, ChannelError.inputClosed, ChannelError.outputClosed,
            ChannelError.eof:
            return UpstreamError(.interrupted, "\(host) closed the connection")
        case let error as HTTPParserError:
            let code: UpstreamError.Code = error == .invalidEOFState ? .interrupted : .invalidResponse
            return UpstreamError(code, "\(host) sent a response that cannot be read (\(error))")
        default: return UpstreamError(.invalidResponse, "\(host): \(error)")
        }
    }
}

extension RegistryClient {
    /// A system call's error without the call.
    static func reason(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode)).lowercased()
    }
}

/// How this program names itself.
package enum UserAgent {
    package static let version = "0.1.0"
    package static let text = "amargo/\(Self.version)"
}
