import OCI
import Storage

/// How much of an image is in a store, and what it lacks.
package struct ImageCompleteness: Hashable, Sendable {
    package enum State: String, Sendable {
        /// Everything that was asked for is stored.
        case complete
        case partial
        /// Not even its manifest is stored.
        case absent
    }

    /// Something that it needs and that is not stored.
    package struct Gap: Hashable, Sendable {
        package let digest: Digest
        /// Bytes.
        package let size: Int64
        /// `config`, `layer`, `manifest` or `blob`.
        package let role: Manifest.Role
        /// The platform whose image lacks it; nil for an image by itself.
        package let platform: String?
    }

    package private(set) var state: State
    /// What the name stands for; nil when it is absent.
    package private(set) var digest: Digest?
    package private(set) var missing: [Gap] = []
    /// Platforms that were asked for and that the image does not have anywhere.
    package private(set) var unknownPlatforms: [Platform] = []
    /// Those of the platforms asked for that are complete.
    package private(set) var platforms: [String] = []
    /// Bytes of what is stored of it.
    package private(set) var bytes: Int64 = 0

    package init() {
        self.state = .absent
    }

    /// Looks at the journal's word and at the disk. Blocks.
    ///
    /// - Parameters:
    ///   - keepsApart: whether the repository has only what it is known to hold, as with registries that take credentials.
    package init(
        of reference: Reference, in repository: QualifiedRepository, _ selection: PlatformSelection, reading reader: StoreReader,
        keepsApart: Bool
    ) {
        var look = Look(reader: reader, repository: repository, keepsApart: keepsApart)
        self.state = .absent
        let named: Digest? =
            switch reference {
            case .tag(let tag): reader.catalog.tag(tag, in: repository)?.digest
            case .digest(let digest): reader.catalog.holds(digest, in: repository) ? digest : nil
            }
        guard let digest = named, look.has(digest), let facts = reader.catalog.content(digest)?.manifest else { return }
        self.digest = digest
        self.bytes = reader.catalog.content(digest)?.size ?? 0
        let images = facts.children.filter { $0.role == .manifest }
        let choice = selection.choose(among: images.map(\.platform))
        self.unknownPlatforms = choice.missing
        look.visit(facts.children.filter { $0.role != .manifest }, nil)
        for edge in choice.chosen.map({ images[$0] }) {
            let before = look.missing.count
            look.visit([edge], edge.platform)
            if let platform = edge.platform, look.missing.count == before { self.platforms.append(platform) }
        }
        self.missing = look.missing
        self.bytes += look.bytes
        self.state = self.missing.isEmpty && self.unknownPlatforms.isEmpty ? .complete : .partial
    }

    private struct Look {
        let reader: StoreReader
        let repository: QualifiedRepository
        let keepsApart: Bool
        var missing: [Gap] = []
        var bytes: Int64 = 0
        private var seen: Set<Digest> = []

        init(reader: StoreReader, repository: QualifiedRepository, keepsApart: Bool) {
            self.reader = reader
            self.repository = repository
            self.keepsApart = keepsApart
        }

        /// Whether content is stored, and lies where it should with the size that it should have.
        func has(_ digest: Digest) -> Bool {
            guard let content = self.reader.catalog.content(digest),
                !self.keepsApart || self.reader.catalog.holds(digest, in: self.repository)
            else { return false }
            do {
                let status = try self.reader.root.status(of: StoreLayout.blob(digest))
                return status.map { $0.isRegular && $0.size == content.size } ?? false
            } catch {
                return false  // what cannot be looked at cannot be served either
            }
        }

        mutating func visit(_ edges: [Edge], _ platform: String?) {
            for edge in edges where edge.role != .foreignLayer && self.seen.insert(edge.digest).inserted {
                guard self.has(edge.digest) else {
                    self.missing.append(Gap(digest: edge.digest, size: edge.size, role: edge.role, platform: platform))
                    continue
                }
                self.bytes = self.bytes.addingSize(edge.size)
                if edge.role == .manifest, let facts = self.reader.catalog.content(edge.digest)?.manifest {
                    self.visit(facts.children, platform)
                }
            }
        }
    }
}
