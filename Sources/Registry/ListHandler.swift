import NIOCore
import NIOHTTP1
import OCI
import PullThrough

/// `tags/list`, `referrers` and `_catalog`. Source: distribution spec, "Content Discovery".
struct ListHandler {
    let cache: PullThroughCache

    /// - Parameter name: the repository as the client wrote it, for the answer and its `Link`.
    func tags(
        _ name: Substring, in source: RoutedRepository, count: Int?, after last: Tag?, ns: Namespace?, _ exchange: Exchange
    ) {
        let path = "/v2/\(name)/tags/list"
        if count == 0 { return Self.respond(Self.tagDocument(name, []), ResponseHead(.ok), exchange) }
        func respond(_ answer: ListAnswer<String>) {
            var head = Self.head(answer, source.upstream.sharing)
            if answer.hasMore, let last = answer.elements.last {
                head.add("link", Self.link(path, count: count, last: last, ns: ns))
            }
            Self.respond(Self.tagDocument(name, answer.elements), head, exchange)
        }
        if exchange.wantsOnlyStored {
            guard let answer = self.cache.tagsOnlyIfStored(in: source, count: count, after: last) else {
                return exchange.failNotStored("a list of tags")
            }
            return respond(answer)
        }
        self.cache.tags(
            in: source, count: count, after: last,
            then: exchange.resuming { result in
                switch result {
                case .success(let answer): respond(answer)
                case .failure(let error): exchange.fail(ErrorResponse(error, unknown: .nameUnknown))
                }
            })
    }

    func referrers(of digest: Digest, in source: RoutedRepository, artifactType: String?, _ exchange: Exchange) {
        func respond(_ answer: ListAnswer<ReferrerEntry>) {
            var head = Self.head(answer, source.upstream.sharing)
            var entries = answer.elements
            if let artifactType {
                entries = entries.filter { $0.artifactType == artifactType }
                head.add("oci-filters-applied", "artifactType")
            }
            let list = entries.map(\.json).joined(separator: ",")
            let document =
                "{\"schemaVersion\":2,\"mediaType\":\"\(MediaType.ociIndex)\",\"manifests\":[\(list)]}"
            Self.respond(document, head, type: MediaType.ociIndex.description, exchange)
        }
        if exchange.wantsOnlyStored {
            return self.cache.referrersOnlyIfStored(
                of: digest, in: source,
                then: exchange.resuming { result in
                    switch result {
                    case .success(let answer?): respond(answer)
                    case .success(nil): exchange.failNotStored("what refers to \(digest)")
                    case .failure(let error): exchange.fail(ErrorResponse(error, unknown: .manifestUnknown))
                    }
                })
        }
        self.cache.referrers(
            of: digest, in: source,
            then: exchange.resuming { result in
                switch result {
                case .success(let answer): respond(answer)
                case .failure(let error): exchange.fail(ErrorResponse(error, unknown: .manifestUnknown))
                }
            })
    }

    /// What is stored here, whatever upstreams have.
    func catalog(count: Int?, after last: String?, ns: Namespace?, _ exchange: Exchange) {
        let names = self.cache.storedNames(ns: ns)
        let rest = last.map { last in names.filter { $0 > last } } ?? names
        let page = Array(rest.prefix(count ?? Limits.Server.page))
        var head = ResponseHead(.ok)
        head.add("cache-control", "no-store")
        if page.count < rest.count, let last = page.last {
            head.add("link", Self.link("/v2/_catalog", count: count, last: last, ns: ns))
        }
        let list = page.map(JSONText.quoted).joined(separator: ",")
        Self.respond("{\"repositories\":[\(list)]}", head, exchange)
    }

    // MARK: - Answers

    private static func tagDocument(_ name: Substring, _ tags: [String]) -> String {
        "{\"name\":\(JSONText.quoted(String(name))),\"tags\":[\(tags.map(JSONText.quoted).joined(separator: ","))]}"
    }

    /// RFC 8288; on our own path, and with the `ns` that the client came with.
    private static func link(_ path: String, count: Int?, last: String, ns: Namespace?) -> String {
        var query = count.map { "n=\($0)&" } ?? ""
        query += "last=\(Self.escaped(last))"
        if let ns { query += "&ns=\(Self.escaped(ns.description))" }
        return "<\(path)?\(query)>; rel=\"next\""
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "/"):
                return String(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                return hex.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }.joined()
    }

    private static func head<Element: Sendable>(
        _ answer: ListAnswer<Element>, _ sharing: UpstreamBinding.Sharing
    ) -> ResponseHead {
        var head = ResponseHead(.ok)
        head.add("x-amargo-cache", answer.state.label)
        head.outcome = RequestOutcome(answer.state)
        head.add("cache-status", answer.state.cacheStatus(lifetime: answer.lifetime))
        head.add("age", String(answer.age))
        if case .stale(let reason) = answer.state {
            head.add("cache-control", "\(sharing.rawValue), max-age=0")
            head.add("warning", "299 - \(JSONText.quoted(String(reason.prefix(500))))")
        } else {
            head.add("cache-control", "\(sharing.rawValue), max-age=\(answer.lifetime)")
        }
        return head
    }

    private static func respond(
        _ document: String, _ head: ResponseHead, type: String = "application/json", _ exchange: Exchange
    ) {
        var head = head
        head.add("content-type", type)
        head.add("content-length", String(document.utf8.count))
        exchange.respond(head, .bytes(ByteBuffer(string: document)))
    }
}
