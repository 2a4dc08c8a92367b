import NIOCore
import NIOHTTP1
import OCI

extension RegistryClient {

    /// A page of a repository's tags, as the registry orders them.
    package struct TagPage: Sendable {
        package let tags: [String]
        /// Whether the registry says that there is more behind the last of them.
        package let hasMore: Bool

        package init(tags: [String], hasMore: Bool) {
            self.tags = tags
            self.hasMore = hasMore
        }
    }

    /// Source: distribution spec, "Listing Tags".
    package func tags(in repository: RepositoryName, count: Int?, after last: Tag?) async throws -> TagPage {
        var items: [String] = []
        if let count { items.append("n=\(count)") }
        if let last { items.append("last=\(last)") }
        let response = try await self.ask(
            .GET, "tags/list", query: items.joined(separator: "&"), in: repository, limit: Limits.Upstream.list,
            accept: "application/json")
        var tags: [String] = []
        try self.read(response.body) { reader, key in
            guard key == "tags", try reader.peek() == .array else { return try reader.skipValue() }
            try reader.array { tags.append(try $0.string()) }
        }
        return TagPage(tags: tags, hasMore: Self.nextPage(response.head) != nil)
    }

    /// What refers to a manifest: each descriptor as the registry wrote it.
    package struct Referrer: Sendable, Hashable {
        package let json: String
        package let artifactType: String?

        package init(json: String, artifactType: String?) {
            self.json = json
            self.artifactType = artifactType
        }
    }

    /// Every referrer of a manifest; by the fallback tag where the registry has no referrers API.
    ///
    /// Source: distribution spec, "Listing Referrers" and "Unavailable Referrers API".
    package func referrers(of digest: Digest, in repository: RepositoryName) async throws -> [Referrer] {
        do {
            return try await self.referrersByAPI(digest, repository)
        } catch let error as UpstreamError {
            guard case .notFound(let code) = error.code, code != .nameUnknown else { throw error }
        }
        do {
            let tag = try Tag(parsing: "\(digest.algorithm.rawValue)-\(digest.hex)")
            return try self.referrers(in: try await self.manifest(.tag(tag), in: repository).bytes)
        } catch let error as UpstreamError {
            guard case .notFound(let code) = error.code, code != .nameUnknown else { throw error }
            return []
        }
    }

    private func referrersByAPI(_ digest: Digest, _ repository: RepositoryName) async throws -> [Referrer] {
        var referrers: [Referrer] = []
        var query = ""
        var seen: Set<String> = []
        var bytes = 0
        let deadline = AskingTime.deadline(within: self.configuration.budget)
        while seen.insert(query).inserted, seen.count <= Limits.Upstream.listPages {
            let response = try await self.ask(
                .GET, "referrers/\(digest)", query: query, in: repository, limit: Limits.Upstream.list,
                accept: MediaType.ociIndex.description)
            bytes += response.body.readableBytes
            guard bytes <= 2 * Limits.Upstream.list, .now < deadline else {
                throw UpstreamError(.invalidResponse, self.say("lists referrers without end"))
            }
            referrers += try self.referrers(in: response.body)
            guard let next = Self.nextPage(response.head) else { return referrers }
            query = next
        }
        throw UpstreamError(.invalidResponse, self.say("lists referrers without end"))
    }

    private func referrers(in body: ByteBuffer) throws -> [Referrer] {
        var referrers: [Referrer] = []
        try self.read(body) { reader, key in
            guard key == "manifests", try reader.peek() == .array else { return try reader.skipValue() }
            try reader.array { reader in
                let json = try reader.rawValue()
                referrers.append(Referrer(json: json, artifactType: try Self.artifactType(in: json)))
            }
        }
        return referrers
    }

    private static func artifactType(in descriptor: String) throws -> String? {
        var type: String?
        try Array(descriptor.utf8).withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    guard key == "artifactType", try reader.peek() == .string else { return try reader.skipValue() }
                    type = try reader.string()
                }
            }
        }
        return type
    }

    private func read(_ body: ByteBuffer, _ member: (inout JSONReader, String) throws -> Void) throws {
        do {
            try body.withUnsafeReadableBytes { bytes in
                try JSONReader.read(bytes) { try $0.object(member) }
            }
        } catch let error as JSONError {
            throw UpstreamError(.invalidResponse, self.say("sent a list that \(error)"))
        }
    }

    /// The targets in a `Link` header, each with what is said of it. Source: RFC 8288, section 3.
    private static func links(in value: String) -> [(target: Substring, parameters: Substring)] {
        var links: [(Substring, Substring)] = []
        var rest = value[...]
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let tail = rest[rest.index(after: end)...]
            rest = tail[(tail.firstIndex(of: "<") ?? tail.endIndex)...]
            links.append((value[value.index(after: start)..<end], tail[..<rest.startIndex]))
        }
        return links
    }

    /// The query of the `Link` with `rel="next"`. Only that: the page is asked for at the path that we know.
    static func nextPage(_ head: HTTPResponseHead) -> String? {
        for (target, parameters) in head.headers["link"].flatMap({ Self.links(in: $0) })
        where parameters.contains("rel=\"next\"") || parameters.contains("rel=next") {
            guard let mark = target.firstIndex(of: "?") else { continue }
            let query = target[target.index(after: mark)...]
            guard query.utf8.count <= Limits.Upstream.nextPage,
                query.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") })
            else {
                continue
            }
            return String(query)
        }
        return nil
    }
}
