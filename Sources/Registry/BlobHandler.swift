import Logging
import NIOCore
import NIOHTTP1
import OCI
import PullThrough
import Storage

/// `GET` and `HEAD /v2/NAME/blobs/DIGEST`.
struct BlobHandler {
    let cache: PullThroughCache
    let logger: Logger

    func handle(_ digest: Digest, in source: RoutedRepository, _ exchange: Exchange) {
        if self.cache.isManifest(digest, in: source) {
            exchange.fail(ErrorResponse(.notFound, .blobUnknown, "\(digest) is a manifest; ask for it under manifests/"))
        } else if let content = self.cache.storedBlob(digest, in: source) {
            self.log(.hit, digest, source)
            self.serveStored(digest, size: content.size, in: source, exchange)
        } else if exchange.isHead, !exchange.wantsOnlyStored {
            self.answerHead(digest, in: source, exchange)
        } else {
            self.follow(digest, in: source, exchange)
        }
    }

    private func log(_ state: CacheState, _ digest: Digest, _ source: RoutedRepository) {
        self.logger.info("\(Self.message(state, digest, source))")
    }

    static func message(_ state: CacheState, _ digest: Digest, _ source: RoutedRepository) -> String {
        "[\(source.upstream.name)] Cache \(state.label): blob \(source.repository.name)@\(digest)"
    }

    // MARK: - Stored

    private func serveStored(_ digest: Digest, size: Int64, in source: RoutedRepository, _ exchange: Exchange) {
        if exchange.isHead {
            exchange.respond(Self.head(digest, in: source, length: size, state: .hit))
        } else if let file = self.cache.store.openFile(digest) {
            Self.respond(file, size: size, digest, in: source, exchange)
        } else {
            self.cache.store.open(
                digest,
                then: exchange.resuming { result in
                    switch result {
                    case .success(let file): Self.respond(file, size: size, digest, in: source, exchange)
                    // Lost or damaged on the disk: it is fetched anew, as if it had never been there.
                    case .failure(let error) where error.code == .notFound: self.follow(digest, in: source, exchange)
                    case .failure(let error):
                        exchange.fail(ErrorResponse(error))
                    }
                })
        }
    }

    static func head(
        _ digest: Digest, in source: RoutedRepository, length: Int64?, state: CacheState, isCollapsed: Bool = false
    ) -> ResponseHead {
        var head = ResponseHead.content(digest, type: .octetStream, length: length, state: state)
        head.setImmutable(for: source.upstream.sharing)
        head.add("accept-ranges", "bytes")
        head.add("cache-status", state.cacheStatus(lifetime: nil, isCollapsed: isCollapsed))
        head.outcome = RequestOutcome(state, isCollapsed: isCollapsed)
        return head
    }

    private static func respond(
        _ file: ReadableFile, size: Int64, _ digest: Digest, in source: RoutedRepository, _ exchange: Exchange
    ) {
        if Self.matches(exchange.request, digest) {
            var head = Self.head(digest, in: source, length: nil, state: .hit)
            head.turn(into: .notModified)
            return exchange.respond(head)
        }
        switch ByteRange(Self.range(of: exchange.request, digest), size: size) {
        case .whole:
            exchange.respond(Self.head(digest, in: source, length: size, state: .hit), .file(file, position: 0, end: size))
        case .part(let first, let end):
            exchange.respond(
                Self.partial(Self.head(digest, in: source, length: end - first, state: .hit), first, end, size),
                .file(file, position: first, end: end))
        case .unsatisfiable:
            exchange.respond(Self.unsatisfiable(size), .none)
        }
    }

    private static func partial(_ whole: ResponseHead, _ first: Int64, _ end: Int64, _ size: Int64) -> ResponseHead {
        var head = whole
        head.turn(into: .partialContent)
        head.add("content-range", "bytes \(first)-\(end - 1)/\(size)")
        return head
    }

    private static func unsatisfiable(_ size: Int64) -> ResponseHead {
        var head = ResponseHead(.rangeNotSatisfiable)
        head.add("content-range", "bytes */\(size)")
        head.add("content-length", "0")
        return head
    }

    /// RFC 9110, 13.1.2.
    private static func matches(_ request: HTTPRequestHead, _ digest: Digest) -> Bool {
        guard request.headers.contains(name: "if-none-match") else { return false }
        return EntityTag.matches(request.headers[canonicalForm: "if-none-match"], digest)
    }

    /// The `Range` header, unless `If-Range` names other content: RFC 9110, 13.1.5.
    private static func range(of request: HTTPRequestHead, _ digest: Digest) -> String? {
        let ranges = request.headers["range"]
        // Two fields make one list, which is no range: RFC 9110, 5.3.
        guard ranges.count == 1, request.headers["if-range"].allSatisfy({ $0 == "\"\(digest)\"" }) else { return nil }
        return ranges[0]
    }

    // MARK: - Absent

    private func answerHead(_ digest: Digest, in source: RoutedRepository, _ exchange: Exchange) {
        if let size = self.cache.downloads.download(digest, in: source)?.size {
            exchange.respond(Self.head(digest, in: source, length: size, state: .miss, isCollapsed: true))
            return
        }
        self.log(.miss, digest, source)
        self.cache.blobSize(
            digest, in: source,
            then: exchange.resuming { result in
                switch result {
                case .success(let answer): exchange.respond(Self.head(digest, in: source, length: answer.size, state: .miss))
                case .failure(let error): exchange.fail(ErrorResponse(error, unknown: .blobUnknown))
                }
            })
    }

    private func follow(_ digest: Digest, in source: RoutedRepository, _ exchange: Exchange) {
        // What is on its way is not stored either.
        if exchange.wantsOnlyStored { return exchange.failNotStored("the blob \(digest)") }
        self.log(.miss, digest, source)
        if let error = self.cache.refusal(of: digest, in: source) {
            return exchange.fail(ErrorResponse(error, unknown: .blobUnknown))
        }
        let (download, isNew) = self.cache.download(digest, in: source)
        exchange.follow(download)
        let follower = Follower(handler: self, download: download, source: source, isCollapsed: !isNew, exchange: exchange)
        follower.advance(isImpatient: false)
        // Weakly: a timer must not keep a download, and with it the room of its spool file, after the answer has gone.
        exchange.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(Limits.Server.headPatience)) { [weak follower] in
            follower?.advance(isImpatient: true)
        }
    }

    /// Waits until the head of a response can go out, whoever the bytes come from.
    private final class Follower {
        let handler: BlobHandler
        let download: BlobDownload
        let source: RoutedRepository
        let isCollapsed: Bool
        let exchange: Exchange
        private var relay: BlobRelay?
        /// The part that the relay carries, when it is not the whole.
        private var part: (first: Int64, end: Int64, size: Int64)?
        private var isImpatient = false
        /// Somebody else goes on with the exchange, now or in a moment.
        private var isDone = false
        private var isPartRefused = false

        init(handler: BlobHandler, download: BlobDownload, source: RoutedRepository, isCollapsed: Bool, exchange: Exchange) {
            self.handler = handler
            self.download = download
            self.source = source
            self.isCollapsed = isCollapsed
            self.exchange = exchange
        }

        func advance(isImpatient: Bool) {
            guard !self.isDone, !self.exchange.isOver else { return }
            self.isImpatient = self.isImpatient || isImpatient
            let wake = self.exchange.resuming { self.advance(isImpatient: false) }
            let step =
                self.relay?.headStep(isImpatient: self.isImpatient, wake: wake)
                ?? self.download.headStep(isImpatient: self.isImpatient, wake: wake)
            if case .wait = step { return }
            self.isDone = true
            switch step {
            case .wait: break
            case .head(let size): self.respond(size: self.part?.size ?? size)
            case .stored: self.handler.handle(self.download.digest, in: self.source, self.exchange)
            case .fail where self.part != nil:
                // The upstream gives no ranges: the download will get there in its own time.
                self.relay = nil
                self.part = nil
                self.isPartRefused = true
                self.isDone = false
                self.advance(isImpatient: false)
            case .fail(let error): self.exchange.fail(ErrorResponse(error, unknown: .blobUnknown))
            case .relay: self.startRelay()
            }
        }

        /// Asks the upstream for just a part that is far ahead of what has arrived, while the download goes on.
        private func startPart(_ first: Int64, _ end: Int64, _ size: Int64) {
            let relay = self.handler.cache.relay(of: self.download, from: first, to: end)
            self.exchange.start(relay, on: self.handler.cache)
            self.relay = relay
            self.part = (first, end, size)
            self.isDone = false
            self.advance(isImpatient: true)
        }

        private func startRelay() {
            self.handler.cache.relay(
                continuing: self.download,
                then: self.exchange.resuming { result in
                    switch result {
                    case .success(let relay):
                        self.exchange.start(relay, on: self.handler.cache)
                        self.relay = relay
                        self.isDone = false
                        self.advance(isImpatient: false)
                    case .failure(let error): self.exchange.fail(ErrorResponse(error, unknown: .blobUnknown))
                    }
                })
        }

        private func respond(size: Int64?) {
            let digest = self.download.digest
            var head = BlobHandler.head(digest, in: self.source, length: size, state: .miss, isCollapsed: self.isCollapsed)
            var position: Int64 = 0
            var end = size
            // Without a size no range can be told; the whole blob is a right answer then.
            if let size {
                switch ByteRange(BlobHandler.range(of: self.exchange.request, digest), size: size) {
                case .whole: break
                case .part(let first, let last):
                    if self.relay == nil, !self.isPartRefused, first - self.download.releasedCount > Limits.Server.ahead {
                        return self.startPart(first, last, size)
                    }
                    head = BlobHandler.partial(
                        BlobHandler.head(
                            digest, in: self.source, length: last - first, state: .miss, isCollapsed: self.isCollapsed), first,
                        last,
                        size)
                    position = first
                    end = last
                case .unsatisfiable: return self.exchange.respond(BlobHandler.unsatisfiable(size), .none)
                }
            } else if self.exchange.request.version.minor == 0 {
                // HTTP/1.0 could only be told the end by closing, which looks the same as a break.
                return self.exchange.fail(
                    ErrorResponse(.httpVersionNotSupported, .unsupported, "the size is not known yet; ask by HTTP/1.1"))
            }
            if let relay = self.relay {
                self.exchange.respond(head, .relay(relay, position: position, end: end))
            } else {
                self.exchange.respond(head, .download(self.download, position: position, end: end))
            }
        }
    }
}

/// Compares entity tags: RFC 9110, 8.8.3.2, weakly, as `If-None-Match` wants it.
enum EntityTag {
    static func matches(_ values: [Substring], _ digest: Digest) -> Bool {
        values.contains { value in
            value == "*" || value == "\"\(digest)\"" || value == "W/\"\(digest)\""
        }
    }
}
