import OCI

/// What removing an image by name does.
package struct RemovalPlan: Sendable {
    package let untags: [JournalRecord]
    /// Content that the repository no longer holds, though others do.
    package let unlinks: [JournalRecord]
    /// Content that another repository needs and had only by this one.
    package var relinks: [JournalRecord] = []
    /// Content that goes from the store.
    package let deletes: [Digest]
    /// Bytes of the disk that come free.
    package let bytes: Int64
    /// Other tags of the same image: with any left, only the name goes.
    package let remaining: [String]
}

/// Finds what goes with an image of a repository. Pure, but for the catalog's memberships.
struct ImageRemoval {
    private let items: [Digest: Catalog.Content]
    private let names: [QualifiedRepository: Inventory.Names]
    private let root: Digest
    private let repository: QualifiedRepository
    private let catalog: Catalog

    init(_ inventory: Inventory, of root: Digest, from repository: QualifiedRepository, catalog: Catalog) {
        self.items = Dictionary(inventory.items.map { ($0.digest, $0.content) }) { first, _ in first }
        self.names = inventory.names
        self.root = root
        self.repository = repository
        self.catalog = catalog
    }

    mutating func plan(untags: [JournalRecord]) -> RemovalPlan {
        let own = self.catalog.manifests(of: self.repository)
        let going = self.manifests(among: own)
        let staying = own.subtracting(going)
        let needed = Set(staying.flatMap { self.children($0) })
        var leaving = going
        for manifest in going {
            for child in self.children(manifest)
            where self.items[child]?.manifest == nil && !needed.contains(child) && self.catalog.holds(child, in: self.repository)
            {
                leaving.insert(child)
            }
        }
        // Manifests anywhere else that need the same content keep it in the store.
        var users: [Digest: QualifiedRepository] = [:]
        for (digest, content) in self.items where content.manifest != nil {
            guard let holder = self.catalog.repositories(holding: digest).first(where: { $0 != self.repository }) else {
                continue
            }
            for child in self.children(digest) where leaving.contains(child) { users[child] = holder }
        }
        var unlinks: [JournalRecord] = []
        var relinks: [JournalRecord] = []
        var deletes: [Digest] = []
        var bytes: Int64 = 0
        for digest in leaving.sorted() {
            let others = self.catalog.repositories(holding: digest).filter { $0 != self.repository }
            if others.isEmpty, let user = users[digest] { relinks.append(.link(digest, user)) }
            if others.isEmpty, users[digest] == nil {
                deletes.append(digest)
                bytes += DiskSpace.allocated(self.items[digest]?.size ?? 0)
            } else {
                unlinks.append(.unlink(digest, self.repository))
            }
        }
        var plan = RemovalPlan(untags: untags, unlinks: unlinks, deletes: deletes, bytes: bytes, remaining: [])
        plan.relinks = relinks
        return plan
    }

    private func children(_ digest: Digest) -> [Digest] { self.items[digest]?.manifest?.children.map(\.digest) ?? [] }

    /// The manifest, its images and what is attached, as far as nothing else in the repository names them.
    private func manifests(among own: Set<Digest>) -> Set<Digest> {
        let names = self.names[self.repository]
        let tagged = Set(names?.tags.filter { ImageGraph.subject(of: $0.key) == nil }.map(\.value.digest) ?? [])
        let pinned = Set(
            names?.pins.keys.compactMap { reference -> Digest? in
                switch reference {
                case .digest(let digest): digest
                case .tag(let tag): names?.tags[tag]?.digest
                }
            } ?? [])
        var attached: [Digest: [Digest]] = [:]
        for digest in own {
            if let subject = self.items[digest]?.manifest?.subject { attached[subject, default: []].append(digest) }
        }
        for (tag, entry) in names?.tags ?? [:] {
            if let subject = ImageGraph.subject(of: tag) { attached[subject, default: []].append(entry.digest) }
        }
        var going: Set<Digest> = []
        var waiting = [self.root]
        while let digest = waiting.popLast() {
            guard own.contains(digest), going.insert(digest).inserted else { continue }
            let below = self.children(digest).filter { self.items[$0]?.manifest != nil } + (attached[digest] ?? [])
            for child in below where !tagged.contains(child) && !pinned.contains(child) {
                // Another index that stays keeps its images.
                let isNamed = own.contains { $0 != digest && !going.contains($0) && self.children($0).contains(child) }
                if !isNamed { waiting.append(child) }
            }
        }
        return going
    }
}
