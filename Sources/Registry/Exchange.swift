import NIOCore
import NIOHTTP1
import OCI
import PullThrough

/// One request and the response to it, on the connection's event loop.
///
/// Work that goes elsewhere comes back through `resuming`: the closure runs on the loop, and not at all when the connection
/// has gone in the meantime.
final class Exchange {
    let request: HTTPRequestHead
    let eventLoop: any EventLoop
    /// Whether the client is on this host.
    let isLocal: Bool
    private weak var connection: RegistryHandler?
    private(set) var hasResponded = false
    private(set) var isOver = false
    /// What is asked for, and where; nil for what is no content.
    private var subject: (kind: RequestKind, source: RoutedRepository)?
    /// Counts the bytes of content that go out.
    private var traffic: TrafficCell?
    /// The stream that exists for this client alone; it ends with it.
    private var relay: BlobRelay?
    /// The download that is told when this client is gone.
    private var followed: BlobDownload?

    init(request: HTTPRequestHead, eventLoop: any EventLoop, isLocal: Bool, connection: RegistryHandler) {
        self.request = request
        self.eventLoop = eventLoop
        self.isLocal = isLocal
        self.connection = connection
    }

    var isHead: Bool { self.request.method == .HEAD }

    /// Says what is asked for, so that the answer is counted.
    func concerns(_ kind: RequestKind, _ source: RoutedRepository) { self.subject = (kind, source) }

    /// Counts the answer that begins.
    private func count(_ outcome: RequestOutcome?) {
        guard let outcome, let (kind, source) = self.subject else { return }
        self.subject = nil
        switch outcome {
        case .absent, .failed: source.upstream.traffic?.known(source.repository).note(outcome, kind)
        default:
            let traffic = source.traffic
            traffic?.note(outcome, kind)
            if kind != .list { self.traffic = traffic }
        }
    }

    /// Bytes of a body have been handed to the connection.
    func noteSent(_ count: Int) { self.traffic?.add(Int64(count), to: .bytesServed) }

    /// Sends the response; the body is pulled from its source as the client takes it. A second response is our own bug.
    func respond(_ head: ResponseHead, _ body: BodySource = .none) {
        guard !self.isOver else { return }
        guard !self.hasResponded else { return assertionFailure("a request has one response") }
        self.hasResponded = true
        self.count(head.outcome)
        self.connection?.begin(head, body, for: self)
    }

    func fail(_ error: ErrorResponse) {
        if !self.isOver, !self.hasResponded {
            self.connection?.note(error, for: self.request)
            if error.endsConnection { self.connection?.refuseRest() }
        }
        var head = ResponseHead(error.status)
        head.outcome = error.isFailure ? .failed : .absent
        head.add("content-type", error.text == nil ? "application/json" : "text/plain; charset=utf-8")
        let body = error.text.map { ByteBuffer(string: $0) } ?? error.body
        head.add("content-length", String(body.readableBytes))
        head.add("cache-control", "no-store")
        if let seconds = error.retryAfter { head.add("retry-after", String(seconds)) }
        if let allow = error.allow { head.add("allow", allow) }
        self.respond(head, .bytes(body))
    }

    /// The response has been sent.
    func end() {
        self.isOver = true
        self.unfollow()
    }

    /// The connection has gone before that.
    func abandon() {
        self.isOver = true
        self.relay?.cancel()
        self.unfollow()
    }

    /// Counts as a follower of the download, which has been joined, until this exchange is over.
    func follow(_ download: BlobDownload) {
        self.unfollow()
        self.followed = download
    }

    private func unfollow() {
        self.followed?.leave()
        self.followed = nil
    }

    /// Starts a relay that ends when this exchange is abandoned.
    func start(_ relay: BlobRelay, on cache: PullThroughCache) {
        self.relay = relay
        cache.start(relay)
    }

    /// A callback for other threads that continues here.
    func resuming<Value: Sendable>(_ body: @escaping (Value) -> Void) -> @Sendable (Value) -> Void {
        let bound = NIOLoopBound((self, body), eventLoop: self.eventLoop)
        let loop = self.eventLoop
        return { value in
            loop.execute {
                let (exchange, body) = bound.value
                if !exchange.isOver { body(value) }
            }
        }
    }

    /// As `resuming`, for callbacks without a value.
    func resuming(_ body: @escaping () -> Void) -> @Sendable () -> Void {
        let resume = self.resuming { (_: Void) in body() }
        return { resume(()) }
    }
}
