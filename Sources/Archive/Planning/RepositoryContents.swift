import OCI
import Storage

/// What a repository has beside its images: manifests that are about others, found by whom they are about.
struct RepositoryContents: Sendable {
    let repository: QualifiedRepository
    let tags: [Tag: Catalog.TagEntry]
    /// By the digest of their `subject`, in order.
    let referrers: [Digest: [Digest]]
    /// Tags made of a digest, `sha256-….sig` and the like, by that digest, in order.
    let companions: [Digest: [Tag]]
    /// Every manifest.
    let manifests: Set<Digest>
    /// Manifests that have no name, and that no other one of the repository leads to or is the subject of, in order.
    let nameless: [Digest]

    init(_ repository: QualifiedRepository, _ catalog: Catalog) {
        self.repository = repository
        self.tags = catalog.tags(in: repository)
        self.manifests = catalog.manifests(of: repository)
        var referrers: [Digest: [Digest]] = [:]
        var reached = Set(self.tags.values.lazy.map(\.digest))
        let ordered = self.manifests.sorted()
        for digest in ordered {
            guard let facts = catalog.content(digest)?.manifest else { continue }
            if let subject = facts.subject {
                referrers[subject, default: []].append(digest)
                if self.manifests.contains(subject) { reached.insert(digest) }
            }
            if facts.mediaType.isIndex { reached.formUnion(facts.children.lazy.map(\.digest)) }
        }
        self.referrers = referrers
        self.nameless = ordered.filter { !reached.contains($0) }
        var companions: [Digest: [Tag]] = [:]
        for tag in self.tags.keys.sorted(by: { $0.description < $1.description }) {
            if let digest = Self.subject(of: tag) { companions[digest, default: []].append(tag) }
        }
        self.companions = companions
    }

    /// `sha256-<hex>`, the fallback of the referrers API, or that with a suffix as cosign gives it; nil for any other tag.
    static func subject(of tag: Tag) -> Digest? {
        let parts = tag.description.split(separator: "-", maxSplits: 1)
        guard parts.count == 2, let algorithm = Digest.Algorithm(rawValue: String(parts[0])) else { return nil }
        let hex = parts[1].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        return Digest(algorithm, hex: Array(hex[0].utf8))
    }
}
