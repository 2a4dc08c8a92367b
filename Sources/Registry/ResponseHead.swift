import NIOHTTP1
import OCI
import PullThrough

/// Builds the head of a response with what every answer of a registry carries.
struct ResponseHead {
    private(set) var status: HTTPResponseStatus
    private(set) var headers: HTTPHeaders
    /// How the request ended, where the answer is content.
    var outcome: RequestOutcome?

    init(_ status: HTTPResponseStatus) {
        self.status = status
        self.headers = HTTPHeaders([("docker-distribution-api-version", "registry/2.0")])
    }

    /// What a `GET` and a `HEAD` of content say alike. Source: distribution spec, "Pulling manifests", "Pulling blobs".
    static func content(_ digest: Digest, type: MediaType, length: Int64?, state: CacheState) -> ResponseHead {
        var head = ResponseHead(.ok)
        head.add("content-type", type.description)
        if let length { head.add("content-length", String(length)) }
        head.add("docker-content-digest", digest.description)
        head.add("etag", "\"\(digest)\"")
        head.add("x-amargo-cache", state.label)
        head.outcome = RequestOutcome(state)
        return head
    }

    mutating func add(_ name: String, _ value: String) { self.headers.add(name: name, value: value) }

    mutating func turn(into status: HTTPResponseStatus) { self.status = status }

    /// A 304 has no body, and must not claim the length of one that it does not send.
    func withoutLength() -> ResponseHead {
        var head = self
        head.headers.remove(name: "content-length")
        return head
    }

    /// Content by digest never changes: whoever may keep it may do so for good.
    mutating func setImmutable(for sharing: UpstreamBinding.Sharing) {
        self.add("cache-control", "\(sharing.rawValue), max-age=31536000, immutable")
    }
}

extension CacheState {
    var isStale: Bool {
        if case .stale = self { true } else { false }
    }

    var label: String {
        switch self {
        case .hit, .revalidated: "HIT"
        case .miss: "MISS"
        case .stale: "STALE"
        }
    }

    /// RFC 9211, "Cache-Status".
    func cacheStatus(lifetime: Int64?, isCollapsed: Bool = false) -> String {
        switch self {
        case .hit: lifetime.map { "amargo; hit; ttl=\($0)" } ?? "amargo; hit"
        case .revalidated: "amargo; fwd=stale; fwd-status=200"
        case .miss: isCollapsed ? "amargo; fwd=miss; collapsed" : "amargo; fwd=miss"
        case .stale: "amargo; hit; ttl=-1; detail=stale"
        }
    }
}
