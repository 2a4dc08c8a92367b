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
    /// Every manifest in order, and those that another one leads to.
    let manifests: [Digest]
    let children: Set<Digest>

    init(_ repository: QualifiedRepository, _ catalog: Catalog) {
        self.repository = repository
        self.tags = catalog.tags(in: repository)
        self.manifests = catalog.manifests(of: repository).sorted()
        var referrers: [Digest: [Digest]] = [:]
        var children: Set<Digest> = []
        for digest in self.manifests {
            guard let facts = catalog.content(digest)?.manifest else { continue }
            if let subject = facts.subject { referrers[subject, default: []].append(digest) }
            if facts.mediaType.isIndex { children.formUnion(facts.children.lazy.map(\.digest)) }
        }
        self.referrers = referrers
        self.children = children
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
