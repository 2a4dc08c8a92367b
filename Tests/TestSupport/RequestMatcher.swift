/// Which requests a behaviour is for.
///
/// With a token service, requests to `/v2/` without a valid token are answered by the challenge and do not match,
/// unless the matcher is `evenUnauthorized`.
package struct RequestMatcher: Sendable {
    private let condition: @Sendable (RecordedRequest) -> Bool
    let includesUnauthorized: Bool

    private init(includesUnauthorized: Bool, condition: @escaping @Sendable (RecordedRequest) -> Bool) {
        self.condition = condition
        self.includesUnauthorized = includesUnauthorized
    }

    /// All of the given conditions; none means any request. Paths are compared without the query.
    package init(
        method: String? = nil, path: String? = nil, contains: String? = nil, suffix: String? = nil,
        where condition: @escaping @Sendable (RecordedRequest) -> Bool = { _ in true }
    ) {
        self.init(includesUnauthorized: false) { request in
            (method == nil || request.method == method)
                && (path == nil || request.path == path)
                && (contains.map { request.path.contains($0) } ?? true)
                && (suffix.map { request.path.hasSuffix($0) } ?? true)
                && condition(request)
        }
    }

    package func matches(_ request: RecordedRequest) -> Bool { self.condition(request) }

    /// The same requests, also those that the token service would refuse.
    package var evenUnauthorized: RequestMatcher {
        RequestMatcher(includesUnauthorized: true, condition: self.condition)
    }

    /// The same requests as far as they carry a `Range` header.
    package var ranged: RequestMatcher {
        let condition = self.condition
        return RequestMatcher(includesUnauthorized: self.includesUnauthorized) { request in
            condition(request) && request.header("Range") != nil
        }
    }

    package static var any: RequestMatcher { RequestMatcher() }

    package static func path(_ path: String) -> RequestMatcher { RequestMatcher(path: path) }

    package static func get(_ suffix: String) -> RequestMatcher { RequestMatcher(method: "GET", suffix: suffix) }

    package static func head(_ suffix: String) -> RequestMatcher { RequestMatcher(method: "HEAD", suffix: suffix) }

    /// GET of a blob; any blob without a digest.
    package static func blob(_ digest: String = "") -> RequestMatcher {
        RequestMatcher(method: "GET", contains: "/blobs/", suffix: digest)
    }

    /// GET of a manifest by tag or digest; any manifest without one.
    package static func manifest(_ reference: String = "") -> RequestMatcher {
        RequestMatcher(method: "GET", contains: "/manifests/", suffix: reference.isEmpty ? "" : "/" + reference)
    }

    /// A fetch from the token service.
    package static var token: RequestMatcher { RequestMatcher(path: "/token") }
}
