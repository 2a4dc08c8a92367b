import Logging
import NIOCore
import NIOHTTP1
import OCI
import PullThrough
import Storage

/// `GET` and `HEAD /v2/NAME/manifests/REFERENCE`.
struct ManifestHandler {
    let cache: PullThroughCache
    let logger: Logger

    func handle(_ reference: Reference, in source: RoutedRepository, _ exchange: Exchange) {
        if let answer = self.cache.storedManifest(reference, in: source) {
            self.respond(answer, reference, in: source, exchange)
            return
        }
        if exchange.wantsOnlyStored {
            guard let answer = self.cache.manifestOnlyIfStored(reference, in: source) else {
                return exchange.failNotStored("the manifest \(reference)")
            }
            return self.respond(answer, reference, in: source, exchange)
        }
        self.cache.manifest(
            reference, in: source, method: exchange.isHead ? .head : .get,
            then: exchange.resuming { result in
                switch result {
                case .success(let answer): self.respond(answer, reference, in: source, exchange)
                case .failure(let error): exchange.fail(ErrorResponse(error, unknown: .manifestUnknown))
                }
            })
    }

    static func message(_ label: String, _ reference: Reference, _ source: RoutedRepository) -> String {
        let separator =
            switch reference {
            case .tag: ":"
            case .digest: "@"
            }
        return "[\(source.upstream.name)] Cache \(label): manifest \(source.repository.name)\(separator)\(reference)"
    }

    /// A client that does not take what is stored gets no other document in its place: types are never converted.
    private func refuse(_ type: MediaType, _ answer: ManifestAnswer, in source: RoutedRepository, _ exchange: Exchange) {
        // The one exception is as old as manifest lists: who knows images only is given the one for linux/amd64.
        if type.isIndex, AcceptHeader(exchange.request.headers).accepts(type == .dockerList ? .dockerManifest : .ociManifest),
            let image = self.cache.defaultImage(of: answer.digest, in: source)
        {
            return self.handle(.digest(image), in: source, exchange)
        }
        exchange.fail(
            ErrorResponse(.notFound, .manifestUnknown, "the manifest is stored as \(type), which the client does not accept"))
    }

    private func respond(_ answer: ManifestAnswer, _ reference: Reference, in source: RoutedRepository, _ exchange: Exchange) {
        if let type = answer.mediaType, !AcceptHeader(exchange.request.headers).accepts(type) {
            return self.refuse(type, answer, in: source, exchange)
        }
        self.logger.info("\(Self.message(answer.state.label, reference, source))")
        let length: Int64?
        switch answer.body {
        case .stored(let content): length = content.size
        case .memory(let bytes): length = Int64(bytes.readableBytes)
        case .absent(let size): length = size
        }
        var head = Self.head(answer, length: length, reference, source.upstream.sharing)
        let conditions = exchange.request.headers
        // A 304 would say that the tag was confirmed, and caches in front would take it for fresh (nginx does, whatever its
        // max-age): what nobody could confirm is sent whole.
        if !answer.state.isStale, conditions.contains(name: "if-none-match"),
            EntityTag.matches(conditions[canonicalForm: "if-none-match"], answer.digest)
        {
            head.turn(into: .notModified)
            return exchange.respond(head.withoutLength())
        }
        guard !exchange.isHead else { return exchange.respond(head) }
        self.cache.notePull(reference, answer.digest, answer.mediaType, RequestOutcome(answer.state), in: source)
        switch answer.body {
        case .memory(let bytes): exchange.respond(head, .bytes(bytes))
        case .stored(let content): self.send(head, answer, size: content.size, reference, in: source, exchange)
        case .absent: preconditionFailure("only a HEAD is answered without the manifest")
        }
    }

    static func head(
        _ answer: ManifestAnswer, length: Int64?, _ reference: Reference, _ sharing: UpstreamBinding.Sharing
    ) -> ResponseHead {
        var head = ResponseHead.content(
            answer.digest, type: answer.mediaType ?? .octetStream, length: length, state: answer.state)
        switch reference {
        case .digest: head.setImmutable(for: sharing)
        case .tag:
            if case .stale(let reason) = answer.state {
                head.add("cache-control", "\(sharing.rawValue), max-age=0")
                head.add("warning", "299 - \(JSONText.quoted(String(reason.prefix(500))))")
            } else {
                head.add("cache-control", "\(sharing.rawValue), max-age=\(answer.lifetime ?? 0)")
            }
            if let age = answer.age { head.add("age", String(age)) }
            head.add("vary", "Accept")
        }
        head.add("cache-status", answer.state.cacheStatus(lifetime: answer.lifetime))
        return head
    }

    private func send(
        _ head: ResponseHead, _ answer: ManifestAnswer, size: Int64, _ reference: Reference, in source: RoutedRepository,
        _ exchange: Exchange
    ) {
        if let file = self.cache.store.openFile(answer.digest) {
            return exchange.respond(head, .file(file, position: 0, end: size))
        }
        self.cache.store.open(
            answer.digest,
            then: exchange.resuming { result in
                switch result {
                case .success(let file): exchange.respond(head, .file(file, position: 0, end: size))
                case .failure(let error) where error.code == .notFound:
                    // Lost or damaged on the disk, and out of the catalog by now: the next look goes upstream.
                    self.handle(.digest(answer.digest), in: source, exchange)
                case .failure(let error): exchange.fail(ErrorResponse(error))
                }
            })
    }
}
