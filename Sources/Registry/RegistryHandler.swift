import Logging
import NIOCore
import NIOHTTP1
import OCI
import PullThrough

/// One connection: takes a request, makes one call, sends one response. Always on the connection's event loop.
///
/// `HTTPServerPipelineHandler` in front of it hands over the next request only when the response before it has ended, so there is
/// at most one exchange at a time.
final class RegistryHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let resources: RegistryResources
    private let arrival: ArrivalWatch
    private var context: ChannelHandlerContext?
    private var exchange: Exchange?
    private var pump: BodyPump?
    private var requestHead: HTTPRequestHead?
    private var requestBytes = 0
    private var isDraining = false
    private var closesAfterResponse = false
    private var isRefused = false
    /// Responses that have been written to their end, which has not left yet.
    private var pendingEnds = 0
    /// Bytes of body that the head promised; nil when it promised none.
    private var promisedBytes: Int64?
    private var sentBytes: Int64 = 0
    private var lastActivity = NIODeadline.now()

    init(resources: RegistryResources, arrival: ArrivalWatch) {
        self.resources = resources
        self.arrival = arrival
    }

    // MARK: - The connection

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        self.scheduleCheck(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.abandon()
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Malformed HTTP has been answered by the protocol error handler; a broken connection needs no answer.
        self.abandon()
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainEvent {
            self.isDraining = true
            if self.exchange == nil, self.requestHead == nil, self.pendingEnds == 0 { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func abandon() {
        self.exchange?.abandon()
        self.exchange = nil
        self.pump?.cancel()
        self.pump = nil
    }

    /// Looks at the clock now and then, instead of moving a timer with each event.
    private func scheduleCheck(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(5)) { [weak self] in
            guard let self, let context = self.context else { return }
            let began = self.exchange == nil ? self.arrival.beganAt : nil
            let idle = NIODeadline.now() - (began ?? self.lastActivity)
            let limit: Duration? =
                if self.pump?.isWaitingForClient == true || self.pendingEnds > 0 {
                    RegistryLimits.stall
                } else if self.exchange != nil {
                    nil
                } else {
                    began == nil ? RegistryLimits.idle : RegistryLimits.request
                }
            if let limit, idle > TimeAmount(limit) {
                context.close(promise: nil)
            } else {
                self.scheduleCheck(context)
            }
        }
    }

    // MARK: - The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.lastActivity = .now()
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.requestHead = head
            self.requestBytes = 0
            // A push is refused before its body is read, not after; nothing more is read on that connection.
            guard head.method == .GET || head.method == .HEAD else { return self.refuse(head, context) }
        case .body where self.isRefused, .end where self.isRefused: break
        case .body(let bytes):
            self.requestBytes += bytes.readableBytes
            // Nothing here takes a body; a small one is read and forgotten, so that the connection can go on.
            if self.requestBytes > RegistryLimits.requestBody { context.close(promise: nil) }
        case .end:
            self.arrival.finish()
            guard let head = self.requestHead else { return }
            self.requestHead = nil
            self.dispatch(head, context)
        }
    }

    private func refuse(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.isRefused = true
        self.requestHead = nil
        self.dispatch(request, context)
    }

    private func dispatch(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let isLocal = context.remoteAddress.map(\.isLoopback) ?? false
        let exchange = Exchange(request: request, eventLoop: context.eventLoop, isLocal: isLocal, connection: self)
        self.exchange = exchange
        self.closesAfterResponse = !request.isKeepAlive || self.isRefused
        guard request.version.major == 1 else {
            return exchange.fail(
                ErrorResponse(.httpVersionNotSupported, .unsupported, "only HTTP/1.1 and HTTP/1.0 are spoken here"))
        }
        guard request.version.minor == 0 || request.headers[canonicalForm: "host"].count == 1 else {
            return exchange.fail(ErrorResponse(.badRequest, .unsupported, "an HTTP/1.1 request has one Host header"))
        }
        self.resources.handle(exchange, isDraining: self.isDraining)
    }

    // MARK: - The response

    /// Says in the log why a request was refused or failed.
    func note(_ error: ErrorResponse, for request: HTTPRequestHead) { self.resources.note(error, for: request) }

    /// Sends the head and starts pulling the body.
    func begin(_ response: ResponseHead, _ body: BodySource, for exchange: Exchange) {
        guard let context = self.context, self.exchange === exchange else { return }
        self.lastActivity = .now()
        var headers = response.headers
        headers.add(name: "date", value: self.resources.dates.header)
        let request = exchange.request
        // The encoder frames a HEAD without a length as if it had a body; nothing may follow on that connection.
        let isUnframed = exchange.isHead && response.status != .notModified && !headers.contains(name: "content-length")
        if self.isDraining || isUnframed { self.closesAfterResponse = true }
        if self.closesAfterResponse {
            headers.add(name: "connection", value: "close")
        } else if request.version.minor == 0 {
            headers.add(name: "connection", value: "keep-alive")
        }
        let hasBody = !exchange.isHead && response.status != .notModified
        if hasBody, !headers.contains(name: "content-length"), request.version.minor > 0 {
            headers.add(name: "transfer-encoding", value: "chunked")
        }
        self.promisedBytes = hasBody ? headers.first(name: "content-length").flatMap { Int64($0) } : nil
        self.sentBytes = 0
        let head = HTTPResponseHead(version: request.version, status: response.status, headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        guard hasBody else {
            if case .relay(let relay, _, _) = body { relay.cancel() }
            return self.finish()
        }
        let pump = BodyPump(source: body, connection: self, exchange: exchange, cache: self.resources.cache)
        self.pump = pump
        pump.run()
    }

    /// Sends a part of the body; `completion` runs on the loop when it has left, or could not.
    func send(_ part: IOData, isLast: Bool, _ completion: @escaping (Bool) -> Void) {
        guard let context = self.context else { return completion(false) }
        self.sentBytes += Int64(part.readableBytes)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.lastActivity = .now()
            switch result {
            case .success: completion(true)
            case .failure: completion(false)
            }
        }
        if isLast {
            // The end goes with the last part, so that nothing waits for a round through the loop.
            context.write(self.wrapOutboundOut(.body(part)), promise: promise)
            self.finish()
        } else {
            context.writeAndFlush(self.wrapOutboundOut(.body(part)), promise: promise)
        }
    }

    /// Sends what has been written so far.
    func flush() { self.context?.flush() }

    /// Ends the response properly. One that has not all the bytes that its head promised is cut instead: the next response on
    /// the connection would be taken for the rest of it.
    func finish() {
        guard let context = self.context else { return }
        guard self.promisedBytes == nil || self.promisedBytes == self.sentBytes else { return self.cut() }
        self.promisedBytes = nil
        self.exchange?.end()
        self.exchange = nil
        self.pump = nil
        self.pendingEnds += 1
        let closes = self.closesAfterResponse
        // Writing the end may hand over the next request at once; what follows must not touch its state.
        context.writeAndFlush(self.wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            self.pendingEnds -= 1
            self.lastActivity = .now()
            let isIdle = self.exchange == nil && self.pendingEnds == 0
            if closes || self.isDraining && isIdle { self.context?.close(promise: nil) }
        }
    }

    /// Ends the response in the only way that cannot be taken for its end.
    func cut() {
        self.abandon()
        self.context?.close(promise: nil)
    }
}

/// Tells a connection to end with the response that is under way.
struct DrainEvent: Sendable {}

extension SocketAddress {
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4: self.ipAddress?.hasPrefix("127.") ?? false
        case .v6: self.ipAddress == "::1" || self.ipAddress?.hasPrefix("::ffff:127.") == true
        case .unixDomainSocket: true
        }
    }
}
