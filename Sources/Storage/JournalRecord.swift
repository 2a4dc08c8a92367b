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
    /// A repository no longer holds content, which others do.
    case unlink(Digest, QualifiedRepository)
    /// A tag, and when its upstream last confirmed it (Unix seconds).
    case tag(Tag, QualifiedRepository, Digest, fetchedAt: Int64)
    /// A tag that came in a bundle, and when whoever made that knew it to be so (Unix seconds; 0 when nobody says).
    case importedTag(Tag, QualifiedRepository, Digest, at: Int64)
    /// The upstream no longer has the tag.
    case untag(Tag, QualifiedRepository)
    /// What this name stands for is not to be removed to make room; since when (Unix seconds).
    case pin(Reference, QualifiedRepository, at: Int64)
    case unpin(Reference, QualifiedRepository)
    /// A manifest was last pulled at this time (Unix seconds), and so often in all, as far as it was counted.
    case use(Digest, at: Int64, pulls: Int64 = 0)
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
    package let subject: Digest?
    private let packed: PackedEdges

    /// What it refers to, in its order. Made anew each time.
    package var children: [Edge] { self.packed.edges }

    /// Calls `body` with what each child is, its digest and its size, without making a list of them.
    package func forEachChild(_ body: (Manifest.Role, Digest, _ size: Int64) -> Void) {
        self.packed.scan { role, digest, size, _ in
            body(role, digest, size)
            return true
        }
    }

    /// A child by its digest.
    package func child(_ digest: Digest) -> Edge? { self.packed.first(digest) }

    package init(mediaType: MediaType, children: [Edge], subject: Digest?) {
        self.mediaType = mediaType
        self.packed = PackedEdges(children)
        self.subject = subject
    }

    package init(_ manifest: Manifest) {
        let children = manifest.children.map { child in
            let platform = child.role == .manifest ? child.descriptor.platform?.description : nil
            return Edge(role: child.role, digest: child.descriptor.digest, size: child.descriptor.size, platform: platform)
        }
        self.init(mediaType: manifest.mediaType, children: children, subject: manifest.subject?.digest)
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
        case .importedTag(let tag, let repository, let digest, let at):
            // For an older version it is a tag like any other.
            [
                JournalMembers("tag").with("repo", repository).with("ref", tag.description).with("d", digest)
                    .with("at", at).with("via", "import").bytes
            ]
        case .untag(let tag, let repository):
            [JournalMembers("untag").with("repo", repository).with("ref", tag.description).bytes]
        case .unlink(let digest, let repository):
            [JournalMembers("unlink").with("d", digest).with("repo", repository).bytes]
        case .pin(let reference, let repository, let at):
            [JournalMembers("pin").with("repo", repository).with("ref", reference.description).with("at", at).bytes]
        case .unpin(let reference, let repository):
            [JournalMembers("unpin").with("repo", repository).with("ref", reference.description).bytes]
        case .use(let digest, let at, let pulls):
            // An older version knows no count, and takes no notice of it.
            [
                pulls > 0
                    ? JournalMembers("use").with("d", digest).with("at", at).with("n", pulls).bytes
                    : JournalMembers("use").with("d", digest).with("at", at).bytes
            ]
        case .delete(let digest): [JournalMembers("delete").with("d", digest).bytes]
        case .deleted(let digest): [JournalMembers("deleted").with("d", digest).bytes]
        case .unknown(let payload, _): [payload]
        }
    }

    private static func manifestPayloads(
        _ digest: Digest, _ facts: ManifestFacts, size: Int64, repository: QualifiedRepository?, at: Int64
    ) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        var list = JournalEdges()
        for (index, edge) in facts.children.enumerated() where !list.append(edge, limit: Self.edgeBudget) {
            payloads.append(
                JournalMembers("edges").with("d", digest).with("n", Int64(index - list.count)).with("kids", list).bytes)
            list = JournalEdges()
            _ = list.append(edge, limit: .max)
        }
        payloads.append(
            JournalMembers("manifest").with("d", digest).with("size", size).with("type", facts.mediaType.description)
                .with("repo", repository).with("subject", facts.subject).with("n", Int64(facts.children.count))
                .with("kids", list).with("at", at).bytes)
        return payloads
    }
}

/// Builds the members of a line: ASCII only, everything else escaped.
struct JournalMembers {
    private(set) var bytes: [UInt8] = []

    init(_ operation: StaticString) {
        self.bytes.reserveCapacity(256)
        self.bytes += "\"op\":\"".utf8
        operation.withUTF8Buffer { self.bytes += $0 }
        self.bytes.append(UInt8(ascii: "\""))
    }

    consuming func with(_ key: StaticString, _ value: String) -> JournalMembers {
        self.begin(key)
        self.bytes.append(quoted: value)
        return self
    }

    consuming func with(_ key: StaticString, _ value: Int64) -> JournalMembers {
        self.begin(key)
        self.bytes.append(decimal: value)
        return self
    }

    consuming func with(_ key: StaticString, _ value: Digest?) -> JournalMembers {
        guard let value else { return self }
        self.begin(key)
        self.bytes.append(quoted: value)
        return self
    }

    consuming func with(_ key: StaticString, _ value: QualifiedRepository?) -> JournalMembers {
        guard let value else { return self }
        self.begin(key)
        // Neither holds anything that needs an escape.
        self.bytes.append(UInt8(ascii: "\""))
        self.bytes += value.namespace.description.utf8
        self.bytes.append(UInt8(ascii: "/"))
        self.bytes += value.name.description.utf8
        self.bytes.append(UInt8(ascii: "\""))
        return self
    }

    consuming func with(_ key: StaticString, _ value: JournalEdges) -> JournalMembers {
        self.begin(key)
        self.bytes.append(UInt8(ascii: "["))
        self.bytes += value.bytes
        self.bytes.append(UInt8(ascii: "]"))
        return self
    }

    private mutating func begin(_ key: StaticString) {
        self.bytes += ",\"".utf8
        key.withUTF8Buffer { self.bytes += $0 }
        self.bytes += "\":".utf8
    }
}

/// Edges as the elements of a list.
struct JournalEdges {
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0

    /// Takes one more, if the list then fits `limit` bytes.
    mutating func append(_ edge: Edge, limit: Int) -> Bool {
        let end = self.bytes.count
        if self.bytes.isEmpty { self.bytes.reserveCapacity(1_024) } else { self.bytes.append(UInt8(ascii: ",")) }
        self.bytes.append(UInt8(ascii: "["))
        self.bytes.append(quoted: edge.role.rawValue)
        self.bytes.append(UInt8(ascii: ","))
        self.bytes.append(quoted: edge.digest)
        self.bytes.append(UInt8(ascii: ","))
        self.bytes.append(decimal: edge.size)
        if let platform = edge.platform, platform.utf8.count <= 128 {
            self.bytes.append(UInt8(ascii: ","))
            self.bytes.append(quoted: platform)
        }
        self.bytes.append(UInt8(ascii: "]"))
        guard self.bytes.count <= limit else {
            self.bytes.removeLast(self.bytes.count - end)
            return false
        }
        self.count += 1
        return true
    }
}

extension [UInt8] {
    /// Appends a text as a JSON string of ASCII.
    fileprivate mutating func append(quoted text: String) {
        guard text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
            self += JSONText.quoted(text).utf8
            return
        }
        self.append(UInt8(ascii: "\""))
        self += text.utf8
        self.append(UInt8(ascii: "\""))
    }

    fileprivate mutating func append(quoted digest: Digest) {
        self.append(UInt8(ascii: "\""))
        digest.write(to: &self)
        self.append(UInt8(ascii: "\""))
    }

    /// Appends a number as digits.
    mutating func append(decimal number: Int64) {
        var rest = number.magnitude
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var start = digits.count
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            if number < 0 { self.append(UInt8(ascii: "-")) }
            self += digits[start...]
        }
    }
}
