import OCI
import Storage

/// The images of a store, as people think of them: a name, what it stands for, and how much of it is there.
package struct ImageListing: Sendable {
    package struct Image: Sendable {
        package let repository: QualifiedRepository
        /// Nil for what was pulled by digest alone.
        package let tag: Tag?
        package let digest: Digest
        /// `os/architecture[/variant]` of the stored images of an index; empty for an image by itself.
        package let platforms: [String]
        /// Platforms that the index names and the store does not have.
        package let absentPlatforms: Int
        /// Bytes of everything stored that belongs to it, also what it shares.
        package let size: Int64
        /// Blobs that it needs and that are not stored.
        package let missing: Int
        /// Unix seconds of the newest pull of any of its manifests.
        package let lastPulled: Int64
        package let isPinned: Bool
        /// Stored manifests that refer to it or to one of its images, by themselves or by a `sha256-…` tag.
        package let referrers: Int
        /// What the store knows of the tag; nil for what was pulled by digest alone.
        package let entry: Catalog.TagEntry?

        /// Whether a pull for some platform needs no upstream.
        package var isComplete: Bool { self.missing == 0 && (!self.platforms.isEmpty || self.absentPlatforms == 0) }
        package var isImported: Bool { self.entry?.isImported ?? false }
        package var name: String { self.tag.map { "\(self.repository):\($0)" } ?? "\(self.repository)@\(self.digest)" }
    }

    package let images: [Image]

    /// Blocks: it looks at everything.
    package init(_ catalog: Catalog) {
        var images: [Image] = []
        for repository in catalog.allRepositories {
            let tags = catalog.tags(in: repository)
            let pins = catalog.pins(in: repository)
            let attached = Self.attached(in: repository, tags, catalog)
            var named: Set<Digest> = []
            for (tag, entry) in tags where catalog.content(entry.digest)?.manifest != nil {
                named.insert(entry.digest)
                let isPinned = pins[.tag(tag)] != nil || pins[.digest(entry.digest)] != nil
                images.append(Self.image(repository, (tag, entry), entry.digest, isPinned, attached, catalog))
            }
            let manifests = catalog.manifests(of: repository)
            // What an index or a subject leads to has no name of its own.
            for digest in manifests {
                named.formUnion(
                    catalog.content(digest)?.manifest?.children.lazy.filter { $0.role == .manifest }.map(\.digest) ?? [])
            }
            for digest in manifests where !named.contains(digest) || pins[.digest(digest)] != nil {
                if let subject = catalog.content(digest)?.manifest?.subject, manifests.contains(subject) { continue }
                guard !tags.values.contains(where: { $0.digest == digest }) else { continue }
                images.append(Self.image(repository, nil, digest, pins[.digest(digest)] != nil, attached, catalog))
            }
        }
        self.images = images.sorted { $0.name < $1.name }
    }

    /// The manifests that refer to each manifest of a repository.
    private static func attached(
        in repository: QualifiedRepository, _ tags: [Tag: Catalog.TagEntry], _ catalog: Catalog
    ) -> [Digest: Set<Digest>] {
        var attached: [Digest: Set<Digest>] = [:]
        for digest in catalog.manifests(of: repository) {
            if let subject = catalog.content(digest)?.manifest?.subject { attached[subject, default: []].insert(digest) }
        }
        // `sha256-<hex>`, and what cosign makes of it: `sha256-<hex>.sig`.
        for (tag, entry) in tags {
            let text = tag.description
            guard let dash = text.firstIndex(of: "-"), let algorithm = Digest.Algorithm(rawValue: String(text[..<dash])),
                let digest = Digest(algorithm, hex: Array(text[text.index(after: dash)...].prefix { $0 != "." }.utf8)),
                let facts = catalog.content(entry.digest)?.manifest
            else { continue }
            // The fallback for the referrers API is a list of them, and none itself.
            let isList = facts.mediaType.isIndex && !text.contains(".")
            let referrers = isList ? facts.children.map(\.digest).filter { catalog.contains($0) } : [entry.digest]
            attached[digest, default: []].formUnion(referrers)
        }
        return attached
    }

    private static func image(
        _ repository: QualifiedRepository, _ name: (tag: Tag, entry: Catalog.TagEntry)?, _ digest: Digest, _ isPinned: Bool,
        _ attached: [Digest: Set<Digest>], _ catalog: Catalog
    ) -> Image {
        var members: Set<Digest> = []
        var missing: Set<Digest> = []
        var platforms: [String] = []
        var absentPlatforms = 0
        var size: Int64 = 0
        var lastPulled: Int64 = 0
        var waiting = [digest]
        while let next = waiting.popLast() {
            guard members.insert(next).inserted, let content = catalog.content(next) else { continue }
            size += content.size
            // What came was pulled: its first pull is its coming.
            if content.manifest != nil { lastPulled = max(lastPulled, content.usedAt, content.storedAt) }
            for edge in content.manifest?.children ?? [] {
                let isStored = catalog.contains(edge.digest)
                if edge.role == .manifest {
                    if isStored { platforms += [edge.platform].compactMap { $0 } } else { absentPlatforms += 1 }
                } else if !isStored, edge.role != .foreignLayer {
                    missing.insert(edge.digest)
                }
                if isStored { waiting.append(edge.digest) }
            }
        }
        let referrers = members.reduce(into: Set<Digest>()) { $0.formUnion(attached[$1] ?? []) }.subtracting(members)
        return Image(
            repository: repository, tag: name?.tag, digest: digest, platforms: platforms.sorted(),
            absentPlatforms: absentPlatforms,
            size: size, missing: missing.count, lastPulled: lastPulled, isPinned: isPinned,
            referrers: referrers.count, entry: name?.entry)
    }
}
