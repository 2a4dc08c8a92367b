import OCI

/// One fact the store remembers, and how it is spelled in a journal line.
///
/// Applying a record twice changes nothing, so replay may see what a snapshot already holds.
package enum JournalRecord: Hashable, Sendable {
    /// Verified content is durable under its digest; `repository` holds it.
    case blob(Digest, size: Int64, repository: QualifiedRepository?, at: Int64)
    /// The same for a manifest, with its type and what it refers to, so that a start parses no manifest.
    case manifest(Digest, ManifestFacts, size: Int64, repository: QualifiedRepository?, at: Int64)
    /// A repository holds content that is stored already.
    case link(Digest, QualifiedRepository)
    /// A tag, and when its upstream last confirmed it (Unix seconds).
    case tag(Tag, QualifiedRepository, Digest, fetchedAt: Int64)
    /// The upstream no longer has the tag.
    case untag(Tag, QualifiedRepository)
    /// A manifest was last pulled at this time (Unix seconds).
    case use(Digest, at: Int64)
    /// Content is about to be removed; replay finishes what this began.
    case delete(Digest)
    /// Content is gone: removed, missing or damaged.
    case deleted(Digest)
    /// Something a newer version wrote: kept through compaction. `required`: not to be ignored.
    case unknown(payload: [UInt8], required: Bool)
}

/// What the catalog knows of a manifest without its bytes.
package struct ManifestFacts: Hashable, Sendable {
    package let mediaType: MediaType
    package let children: [Edge]
    package let subject: Digest?

    package init(mediaType: MediaType, children: [Edge], subject: Digest?) {
        self.mediaType = mediaType
        self.children = children
        self.subject = subject
    }

    package init(_ manifest: Manifest) {
        self.mediaType = manifest.mediaType
        self.children = manifest.children.map { child in
            let platform = child.role == .manifest ? child.descriptor.platform?.description : nil
            return Edge(role: child.role, digest: child.descriptor.digest, size: child.descriptor.size, platform: platform)
        }
        self.subject = manifest.subject?.digest
    }
}

/// A reference from a manifest to a child.
package struct Edge: Hashable, Sendable {
    package let role: Manifest.Role
    package let digest: Digest
    package let size: Int64
    /// `os/architecture[/variant]` for the children of an index.
    package let platform: String?

    package init(role: Manifest.Role, digest: Digest, size: Int64, platform: String? = nil) {
        self.role = role
        self.digest = digest
        self.size = size
        self.platform = platform
    }
}

// MARK: - Encoding

extension JournalRecord {
    /// Bytes of edges that one line takes; the limit of a line is 16 KiB.
    private static let edgeBudget = 12 << 10

    /// The record as the members of one or more lines, without braces, `g`, `q` and checksum.
    ///
    /// Only a manifest with very many children needs more than one: `edges` lines come first, so that the line that
    /// makes the manifest known is the last.
    package func payloads() -> [[UInt8]] {
        switch self {
        case .blob(let digest, let size, let repository, let at):
            [JournalMembers("blob").with("d", digest).with("size", size).with("repo", repository).with("at", at).bytes]
        case .manifest(let digest, let facts, let size, let repository, let at):
            Self.manifestPayloads(digest, facts, size: size, repository: repository, at: at)
        case .link(let digest, let repository):
            [JournalMembers("link").with("d", digest).with("repo", repository).bytes]
        case .tag(let tag, let repository, let digest, let fetchedAt):
            [
                JournalMembers("tag").with("repo", repository).with("ref", tag.description).with("d", digest)
                    .with("at", fetchedAt).bytes
            ]
        case .untag(let tag, let repository):
            [JournalMembers("untag").with("repo", repository).with("ref", tag.description).bytes]
        case .use(let digest, let at): [JournalMembers("use").with("d", digest).with("at", at).bytes]
        case .delete(let digest): [JournalMembers("delete").with("d", digest).bytes]
        case .deleted(let digest): [JournalMembers("deleted").with("d", digest).bytes]
        case .unknown(let payload, _): [payload]
        }
    }

    private static func manifestPayloads(
        _ digest: Digest, _ facts: ManifestFacts, size: Int64, repository: QualifiedRepository?, at: Int64
    ) -> [[UInt8]] {
        var chunks: [[UInt8]] = []
        var chunk: [UInt8] = []
        for edge in facts.children {
            var text = "[\"\(edge.role.rawValue)\",\"\(edge.digest)\",\(edge.size)"
            if let platform = edge.platform, platform.utf8.count <= 128 { text += ",\(JSONText.quoted(platform))" }
            text += "]"
            if chunk.count + text.utf8.count > Self.edgeBudget {
                chunks.append(chunk)
                chunk = []
            }
            if !chunk.isEmpty { chunk.append(UInt8(ascii: ",")) }
            chunk += text.utf8
        }
        var payloads = chunks.map { JournalMembers("edges").with("d", digest).with("kids", list: $0).bytes }
        payloads.append(
            JournalMembers("manifest").with("d", digest).with("size", size).with("type", facts.mediaType.description)
                .with("repo", repository).with("subject", facts.subject).with("n", Int64(facts.children.count))
                .with("kids", list: chunk).with("at", at).bytes)
        return payloads
    }
}

/// Builds the members of a line: ASCII only, everything else escaped.
struct JournalMembers {
    private(set) var bytes: [UInt8]

    init(_ operation: String) {
        self.bytes = Array("\"op\":\"\(operation)\"".utf8)
    }

    consuming func with(_ key: String, _ value: String) -> JournalMembers { self.with(key, raw: JSONText.quoted(value).utf8) }

    consuming func with(_ key: String, _ value: Int64) -> JournalMembers { self.with(key, raw: String(value).utf8) }

    consuming func with(_ key: String, _ value: Digest?) -> JournalMembers {
        guard let value else { return self }
        return self.with(key, value.description)
    }

    consuming func with(_ key: String, _ value: QualifiedRepository?) -> JournalMembers {
        guard let value else { return self }
        return self.with(key, value.description)
    }

    consuming func with(_ key: String, list: [UInt8]) -> JournalMembers {
        self.with(key, raw: [UInt8(ascii: "[")] + list + [UInt8(ascii: "]")])
    }

    private consuming func with(_ key: String, raw value: some Sequence<UInt8>) -> JournalMembers {
        self.bytes += ",\"\(key)\":".utf8
        self.bytes += value
        return self
    }
}
