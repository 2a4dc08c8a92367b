import Glibc
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
    let arrival: ArrivalWatch
    private(set) var context: ChannelHandlerContext?
    private(set) var exchange: Exchange?
    private(set) var pump: BodyPump?
    private var requestHead: HTTPRequestHead?
    private var requestBytes = 0
    private var isDraining = false
    /// The client asks nothing more.
    private var isInputClosed = false
    private var closesAfterResponse = false
    private var isRefused = false
    /// The present request's head has text that is not looked at: see `isStreamSafe`.
    private var isUnreadable = false
    /// Responses that have been written to their end, which has not left yet.
    private(set) var pendingEnds = 0
    /// Bytes of body that the head promised; nil when it promised none.
    private var promisedBytes: Int64?
    private var sentBytes: Int64 = 0
    private(set) var lastActivity = NIODeadline.now()
    /// The end of a response is being written, which may hand over the next request.
    private var isFinishing = false
    /// The last answer is on its way: whatever else has arrived is no request any more.
    private var isClosing = false
    /// The last answer has been given; what the client still sends is forgotten until it has read it.
    private var isLingering = false
    var patience: ClientPatience
    private let activity: ConnectionActivity
    private let connections: ConnectionSet
    let limits: ServerLimits

    init(
        resources: RegistryResources, arrival: ArrivalWatch, activity: ConnectionActivity, connections: ConnectionSet,
        limits: ServerLimits
    ) {
        self.resources = resources
        self.arrival = arrival
        self.activity = activity
        self.connections = connections
        self.limits = limits
        self.patience = ClientPatience(limits)
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
        if self.isLingering { return }
        if let error = error as? HTTPParserError, self.exchange == nil {
            if !self.isClosing, !self.isRefused { self.refuse(error, context) }
        } else {
            self.abandon()
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is DrainEvent:
            self.isDraining = true
            if self.isIdle { context.close(promise: nil) }
        case is ReclaimEvent:
            if self.isIdle || self.isLingering { context.close(promise: nil) } else { self.connections.keep(context.channel) }
        case ChannelEvent.inputClosed:
            // The client has ended its side; it may well wait for the answer.
            self.isInputClosed = true
            if self.isIdle || self.isLingering { context.close(promise: nil) } else { self.closesAfterResponse = true }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    private var isIdle: Bool { self.exchange == nil && self.requestHead == nil && self.pendingEnds == 0 }

    /// Whether nothing is being answered or read, and the connection goes on: then a request may be answered by somebody else.
    var isAtRest: Bool {
        self.isIdle && !self.isDraining && !self.isInputClosed && !self.closesAfterResponse && !self.isRefused && !self.isClosing
            && !self.isLingering
    }

    /// Somebody else has answered.
    func noteAnswerAhead() {
        self.lastActivity = .now()
        if self.isIdle { self.activity.becomeIdle() }
    }

    private func abandon() {
        self.exchange?.abandon()
        self.exchange = nil
        self.pump?.cancel()
        self.pump = nil
    }

    // MARK: - The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.lastActivity = .now()
        switch self.unwrapInboundIn(data) {
        case _ where self.isClosing: break
        case .head(let head):
            self.isUnreadable = !head.uri.isStreamSafe || !head.headers.allSatisfy { $0.value.isStreamSafe }
            // From here on nobody looks at a text that would take long to look at.
            let head = self.isUnreadable ? HTTPRequestHead(version: head.version, method: .GET, uri: "(unread)") : head
            self.requestHead = head
            self.requestBytes = 0
            self.activity.becomeBusy()
            // Whoever waits to be told whether to send a body is told at once, as is a push: neither body is read, and nothing
            // more on that connection.
            let isWaiting = head.version.minor > 0 && !head.headers[canonicalForm: "expect"].isEmpty
            let isRead = !self.isUnreadable && (head.method == .GET || head.method == .HEAD) && !isWaiting
            if !isRead { self.refuse(head, context) }
        case .body where self.isRefused, .end where self.isRefused: break
        case .body(let bytes):
            self.requestBytes += bytes.readableBytes
            // Nothing here takes a body; a small one is read and forgotten, so that the connection can go on.
            if self.requestBytes > Limits.Server.requestBody { context.close(promise: nil) }
        case .end:
            self.arrival.finish()
            self.dispatchWhole(context)
        }
    }

    /// A request that was waiting behind an answer gets its own turn: a thousand of them would be a thousand calls deep, and keep
    /// other connections waiting.
    private func dispatchWhole(_ context: ChannelHandlerContext) {
        guard !self.isFinishing else {
            return context.eventLoop.assumeIsolated().execute { [weak self] in
                guard let self, let context = self.context else { return }
                self.dispatchWhole(context)
            }
        }
        guard let head = self.requestHead else { return }
        self.requestHead = nil
        self.dispatch(head, context)
    }

    /// Answers before the request is complete, and reads no more of it.
    private func refuse(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.isRefused = true
        self.dispatchWhole(context)
    }

    /// Answers what cannot be parsed; nothing behind it can be either.
    private func refuse(_ error: HTTPParserError, _ context: ChannelHandlerContext) {
        self.isRefused = true
        self.requestHead = nil
        self.activity.becomeBusy()
        let request = HTTPRequestHead(version: .http1_1, method: .GET, uri: "(unread)")
        self.begin(request, context).fail(ErrorResponse(error, isInTarget: self.arrival.requestLine > Limits.Server.target))
    }

    private func begin(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) -> Exchange {
        let isLocal = context.remoteAddress.map(\.isLoopback) ?? false
        let exchange = Exchange(request: request, eventLoop: context.eventLoop, isLocal: isLocal, connection: self)
        self.exchange = exchange
        self.arrival.beginAnswer()
        self.closesAfterResponse = self.closesAfterResponse || !request.isKeepAlive || self.isRefused
        return exchange
    }

    private func dispatch(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        // The parser stops behind a request that could make this another protocol; that wish is not granted (RFC 9110, 7.8).
        if request.offersUpgrade { self.isRefused = true }
        let exchange = self.begin(request, context)
        guard !self.isUnreadable else {
            return exchange.fail(
                ErrorResponse(.badRequest, .unsupported, "the head has more combining marks in a row than any text"))
        }
        if let objection = ErrorResponse(objectingTo: request) { return exchange.fail(objection) }
        self.resources.handle(exchange, isDraining: self.isDraining)
    }

    /// Nothing more is read on this connection: what stands behind the present request may be a part of it.
    func refuseRest() {
        self.isRefused = true
        self.closesAfterResponse = true
    }

    // MARK: - The response

    /// Says in the log why a request was refused or failed.
    func note(_ error: ErrorResponse, for request: HTTPRequestHead) { self.resources.note(error, for: request) }

    /// Sends the head and starts pulling the body.
    func begin(_ response: ResponseHead, _ body: BodySource, for exchange: Exchange) {
        guard let context = self.context, self.exchange === exchange else { return }
        self.lastActivity = .now()
        self.resources.responses.note(response.status)
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
        guard case .file = body else { return pump.run() }
        // A head by itself would be a packet of its own, and wake the client for nothing.
        self.setCork(1, context)
        pump.run()
        self.setCork(0, context)
    }

    /// TCP_CORK, tcp(7): partial packets wait; taking it off sends them.
    private func setCork(_ value: Int, _ context: ChannelHandlerContext) {
        // Refused by a connection that has ended: then nothing waits.
        try? context.channel.syncOptions?.setOption(.tcpOption(.init(rawValue: CInt(TCP_CORK))), value: value)
    }

    /// Sends a part of the body; `completion` runs on the loop when it has left, or could not.
    func send(_ part: IOData, isLast: Bool, _ completion: @escaping (Bool) -> Void) {
        guard let context = self.context else { return completion(false) }
        self.sentBytes += Int64(part.readableBytes)
        self.exchange?.noteSent(part.readableBytes)
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
        self.arrival.endAnswer()
        let closes = self.closesAfterResponse
        self.isClosing = self.isClosing || closes
        // Writing the end may hand over the next request at once; what follows must not touch its state.
        self.isFinishing = true
        defer { self.isFinishing = false }
        context.writeAndFlush(self.wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            self.pendingEnds -= 1
            self.lastActivity = .now()
            if closes {
                self.close()
            } else if self.isIdle {
                self.activity.becomeIdle()
                // Either may have come while the last bytes were on their way.
                if self.isDraining || self.isInputClosed { self.context?.close(promise: nil) }
            }
        }
    }

    /// Closes after a last answer. Where the request was not read to its end the client may still be sending, and closing at once
    /// would make it see a reset in place of the answer (RFC 9112, 9.6).
    private func close() {
        guard let context = self.context else { return }
        guard self.isRefused else { return context.close(promise: nil) }
        guard !self.isLingering else { return }
        self.isLingering = true
        self.requestHead = nil
        self.activity.becomeIdle()
        self.arrival.discard()
        context.close(mode: .output, promise: nil)
        context.read()
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(self.limits.lingering)) { [weak self] in
            self?.context?.close(promise: nil)
        }
    }

    /// Ends the response in the only way that cannot be taken for its end.
    func cut() {
        self.abandon()
        // A head that waits for the first bytes of its body says more than nothing at all.
        self.context?.flush()
        self.context?.close(promise: nil)
    }
}
