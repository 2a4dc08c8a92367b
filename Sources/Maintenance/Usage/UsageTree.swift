import OCI
import Storage

/// Finds the images of every repository, and counts what each of them has.
struct UsageTree {
    typealias Node = UsageGraph.Node

    private(set) var graph: UsageGraph
    private(set) var registries: [DiskUsage.Registry] = []
    private(set) var repositories: [DiskUsage.Repository] = []
    private(set) var images: [DiskUsage.Image] = []
    private(set) var figures = DiskUsage.Figures()
    /// The manifest of each image.
    private(set) var roots: [Node] = []
    /// The catalog's number of each repository.
    private(set) var numbers: [UInt32] = []
    /// How often each manifest of an image was pulled, where it was.
    private(set) var pulls: [Node: Int64] = [:]

    init(graph: UsageGraph) {
        self.graph = graph
    }

    // MARK: - Images

    mutating func build(_ catalog: Catalog) {
        let names = catalog.allRepositories.map { (text: $0.description, name: $0) }.sorted { left, right in
            left.name.namespace == right.name.namespace
                ? left.text < right.text : left.name.namespace.description < right.name.namespace.description
        }
        for (_, name) in names {
            let first = self.images.count
            self.addImages(of: name, catalog)
            guard self.images.count > first else { continue }
            let position = self.repositories.count
            if self.registries.last?.name != name.namespace {
                self.registries.append(DiskUsage.Registry(name: name.namespace, repositories: position..<position))
            }
            self.registries[self.registries.count - 1].repositories =
                self.registries[self.registries.count - 1].repositories
                .lowerBound..<(position + 1)
            self.repositories.append(
                DiskUsage.Repository(name: name, registry: self.registries.count - 1, images: first..<self.images.count))
            self.numbers.append(catalog.number(of: name) ?? 0)
        }
    }

    /// What is known of one repository while its images are found.
    private struct Names {
        var tags: [Node: [Tag]] = [:]
        var pins: [Node: [Reference]] = [:]
        var attachments: [Node: [Node]] = [:]
    }

    private mutating func addImages(of repository: QualifiedRepository, _ catalog: Catalog) {
        let own = Set(catalog.manifests(of: repository).compactMap { self.graph.node($0) }.filter(self.graph.isManifest))
        let names = self.names(catalog.tags(in: repository), catalog.pins(in: repository), own)
        var found = Set(names.tags.keys)
        found.formUnion(names.pins.keys)
        var isBelow: Set<Node> = []
        for node in own { isBelow.formUnion(self.graph.children(of: node).lazy.filter(self.graph.isManifest)) }
        for attached in names.attachments.values { isBelow.formUnion(attached) }
        found.formUnion(own.subtracting(isBelow))
        self.addRings(own, names.attachments, to: &found)
        let images = found.map { node in
            (
                node: node,
                image: DiskUsage.Image(
                    digest: self.graph.digests[Int(node)],
                    tags: (names.tags[node] ?? []).sorted { $0.description < $1.description }, pins: names.pins[node] ?? [],
                    repository: self.repositories.count)
            )
        }
        for (node, image) in images.sorted(by: { Self.precedes($0.image, $1.image) }) {
            self.roots.append(node)
            self.images.append(image)
        }
        if !found.isEmpty, !names.attachments.isEmpty { self.graph.attachments[self.repositories.count] = names.attachments }
    }

    /// What has a name by itself, and what is attached to which manifest of the repository.
    private func names(_ tags: [Tag: Catalog.TagEntry], _ pins: [Reference: Int64], _ own: Set<Node>) -> Names {
        var names = Names()
        var attached: [(subject: Node, Node)] = []
        for (tag, entry) in tags {
            guard let node = self.graph.node(entry.digest), self.graph.isManifest(node) else { continue }
            if let subject = tag.attachmentSubject.flatMap({ self.graph.node($0) }), own.contains(subject), subject != node,
                own.contains(node)
            {
                attached.append((subject, node))
            } else {
                names.tags[node, default: []].append(tag)
            }
        }
        for reference in pins.keys {
            let digest: Digest? =
                switch reference {
                case .digest(let digest): digest
                case .tag(let tag): tags[tag]?.digest
                }
            guard let node = digest.flatMap({ self.graph.node($0) }), self.graph.isManifest(node) else { continue }
            if case .digest = reference, !own.contains(node) { continue }
            names.pins[node, default: []].append(reference)
        }
        for node in names.pins.keys { names.pins[node]?.sort { $0.description < $1.description } }
        for node in own {
            guard let subject = self.graph.subjects[node].flatMap({ self.graph.node($0) }), own.contains(subject),
                subject != node
            else { continue }
            attached.append((subject, node))
        }
        // What has a name of its own is somebody's image, whatever else it refers to.
        for (subject, node) in attached where names.tags[node] == nil && names.pins[node] == nil {
            names.attachments[subject, default: []].append(node)
        }
        return names
    }

    /// Manifests that are attached to each other in a ring belong to nobody else; the first of each, by its digest, stands for it.
    private func addRings(_ own: Set<Node>, _ attachments: [Node: [Node]], to found: inout Set<Node>) {
        guard !own.isSubset(of: found) else { return }
        var reached: Set<Node> = []
        func reach(_ root: Node) {
            var waiting = [root]
            while let node = waiting.popLast() {
                guard reached.insert(node).inserted else { continue }
                waiting += self.graph.children(of: node).lazy.filter(self.graph.isManifest)
                waiting += attachments[node] ?? []
            }
        }
        for node in found { reach(node) }
        let lost = own.subtracting(reached)
        for node in lost.sorted(by: { self.graph.digests[Int($0)] < self.graph.digests[Int($1)] }) where !reached.contains(node) {
            found.insert(node)
            reach(node)
        }
    }

    private static func precedes(_ left: DiskUsage.Image, _ right: DiskUsage.Image) -> Bool {
        switch (left.tags.first, right.tags.first) {
        case (let a?, let b?): a.description < b.description
        case (nil, nil): left.digest < right.digest
        case (let a, _): a != nil
        }
    }

    // MARK: - Counting

    /// Fills in the figures; returns how many images have each blob, and what none has.
    mutating func count(_ pulls: ((Digest) -> Int64)?) -> (users: [Int32], orphans: DiskUsage.Orphans) {
        for (position, kind) in self.graph.kinds.enumerated() where kind == .manifest {
            let count = pulls.map { $0(self.graph.digests[position]) } ?? self.graph.pulls[Node(position)] ?? 0
            if count > 0 { self.pulls[Node(position)] = count }
        }
        var walk = UsageWalk(self.graph)
        var tally = UsageTally(graph: self.graph, repositories: self.repositories, images: self.images)
        for (position, root) in self.roots.enumerated() {
            let repository = self.images[position].repository
            tally.begin(position)
            walk.visit(root, in: repository) { node, isAttached in
                tally.add(node, pulls: isAttached ? 0 : self.pulls[node] ?? 0)
            }
        }
        tally.settle()
        var given = [Int32](repeating: 0, count: self.graph.sizes.count)
        for (position, root) in self.roots.enumerated() {
            var share: Int64 = 0
            walk.visit(root, in: self.images[position].repository) { node, _ in
                share += self.graph.share(of: node, among: tally.users[Int(node)], number: given[Int(node)])
                given[Int(node)] += 1
            }
            tally.attribute(share, to: position)
        }
        for position in self.images.indices { self.images[position].figures = tally.images[position] }
        for position in self.repositories.indices { self.repositories[position].figures = tally.repositories[position] }
        for position in self.registries.indices { self.registries[position].figures = tally.registries[position] }
        self.figures = tally.all
        return (tally.users, tally.orphans)
    }
}
