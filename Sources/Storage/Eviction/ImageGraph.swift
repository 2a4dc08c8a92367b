import OCI

/// Which content belongs to which image: the units that are removed as a whole.
///
/// A unit is a platform manifest with its config, its layers and what is attached to it: referrers (image spec, "subject") and the
/// tags `sha256-HEX`, `sha256-HEX.sig` and the like by which older tools attach things. An index has no content of its own; it
/// lives while one of its images does, and takes what is attached to it along. A pull by digest makes a root like a tag does, so every
/// platform manifest is one.
struct ImageGraph {
    /// Position in `items`.
    typealias Node = Int32

    struct Unit {
        /// The platform manifest, or an index of which nothing else is stored.
        let root: Node
        /// Everything that goes with it, the root first. What other units have, too, stays as long as they do.
        let members: [Node]
        /// Unix seconds of the newest pull of anything in it; when nothing was pulled, of its coming.
        let lastUse: Int64
        let isPinned: Bool
        /// Something in it is being read or downloaded at this moment.
        let isBusy: Bool
    }

    let items: [Inventory.Item]
    let units: [Unit]
    /// Content that no manifest refers to.
    let orphans: [Node]
    /// The indexes that name a manifest.
    let parents: [Node: [Node]]
    /// How many of an index's children are stored.
    let storedChildren: [Node: Int]
    /// What goes with an index when its last image has gone, itself first.
    let indexMembers: [Node: [Node]]
    let pinnedNodes: Set<Node>
    private let nodes: [Digest: Node]

    func node(_ digest: Digest) -> Node? { self.nodes[digest] }

    /// What a tag attaches things to: `sha256-HEX`, or that and a suffix, means that digest; nil for an ordinary tag.
    static func subject(of tag: Tag) -> Digest? {
        let text = tag.description
        guard let dash = text.firstIndex(of: "-"), let algorithm = Digest.Algorithm(rawValue: String(text[..<dash])) else {
            return nil
        }
        let hex = text[text.index(after: dash)...].prefix { $0 != "." && $0 != "-" }
        return Digest(algorithm, hex: Array(hex.utf8))
    }

    /// - Parameter busy: what is being read or downloaded; content that is not stored yet makes those busy that wait for it.
    init(_ inventory: Inventory, busy: Set<Digest> = []) {
        var builder = Builder(inventory, busy: busy)
        builder.build()
        self.items = inventory.items
        self.units = builder.units
        self.orphans = builder.orphans
        self.parents = builder.parents
        self.storedChildren = builder.storedChildren
        self.indexMembers = builder.indexMembers
        self.pinnedNodes = builder.pinned
        self.nodes = builder.nodes
    }
}

extension ImageGraph {
    private struct Builder {
        let inventory: Inventory
        let busy: Set<Digest>
        var nodes: [Digest: Node] = [:]
        var manifests: [Node] = []
        /// What is attached to a manifest.
        var attachments: [Node: [Node]] = [:]
        var attached: Set<Node> = []
        var parents: [Node: [Node]] = [:]
        var storedChildren: [Node: Int] = [:]
        var indexMembers: [Node: [Node]] = [:]
        var pinned: Set<Node> = []
        var units: [Unit] = []
        var orphans: [Node] = []
        /// Content that belongs to some unit or index.
        private var covered: [Bool] = []

        init(_ inventory: Inventory, busy: Set<Digest>) {
            self.inventory = inventory
            self.busy = busy
            self.covered = [Bool](repeating: false, count: inventory.items.count)
        }

        private func facts(_ node: Node) -> ManifestFacts? { self.inventory.items[Int(node)].content.manifest }

        mutating func build() {
            self.nodes.reserveCapacity(self.inventory.items.count)
            for (index, item) in self.inventory.items.enumerated() {
                self.nodes[item.digest] = Node(index)
                if item.content.manifest != nil { self.manifests.append(Node(index)) }
            }
            self.connect()
            self.pin()
            for node in self.manifests where self.facts(node)?.mediaType.isIndex == true && !self.attached.contains(node) {
                let members = self.closure(of: node)
                for member in members { self.covered[Int(member)] = true }
                if (self.storedChildren[node] ?? 0) > 0 {
                    self.indexMembers[node] = members
                } else {
                    self.addUnit(node, members)
                }
            }
            for node in self.manifests where self.facts(node)?.mediaType.isIndex == false && !self.attached.contains(node) {
                self.addUnit(node, self.closure(of: node))
            }
            // What is attached to each other in a ring belongs to nobody else.
            for node in self.manifests where !self.covered[Int(node)] { self.addUnit(node, self.closure(of: node)) }
            for index in self.inventory.items.indices where !self.covered[index] { self.orphans.append(Node(index)) }
        }

        /// Finds who refers to whom.
        private mutating func connect() {
            var ordinarilyNamed: Set<Digest> = []
            var attachedByTag: [(subject: Digest, Digest)] = []
            for names in self.inventory.names.values {
                for (tag, entry) in names.tags {
                    if let subject = ImageGraph.subject(of: tag) {
                        attachedByTag.append((subject, entry.digest))
                    } else {
                        ordinarilyNamed.insert(entry.digest)
                    }
                }
            }
            for node in self.manifests {
                guard let facts = self.facts(node) else { continue }
                if facts.mediaType.isIndex {
                    for edge in facts.children {
                        guard let child = self.nodes[edge.digest], self.facts(child) != nil else { continue }
                        self.parents[child, default: []].append(node)
                        self.storedChildren[node, default: 0] += 1
                    }
                }
                // What has a name of its own is somebody's image, whatever else it refers to.
                let digest = self.inventory.items[Int(node)].digest
                guard let subject = facts.subject, !ordinarilyNamed.contains(digest) else { continue }
                self.attach(digest, to: subject)
            }
            for (subject, digest) in attachedByTag where !ordinarilyNamed.contains(digest) { self.attach(digest, to: subject) }
        }

        private mutating func attach(_ digest: Digest, to subject: Digest) {
            guard let node = self.nodes[digest], let owner = self.nodes[subject], node != owner, self.facts(node) != nil,
                self.facts(owner) != nil, self.parents[node] == nil
            else { return }
            self.attachments[owner, default: []].append(node)
            self.attached.insert(node)
        }

        /// A pin holds a manifest, all that is below it and all that is attached to it.
        private mutating func pin() {
            var waiting: [Node] = []
            for names in self.inventory.names.values {
                for reference in names.pins.keys {
                    switch reference {
                    case .digest(let digest): waiting += [self.nodes[digest]].compactMap { $0 }
                    case .tag(let tag): waiting += [names.tags[tag].flatMap { self.nodes[$0.digest] }].compactMap { $0 }
                    }
                }
            }
            while let node = waiting.popLast() {
                guard self.pinned.insert(node).inserted else { continue }
                waiting += self.attachments[node] ?? []
                for edge in self.facts(node)?.children ?? [] { waiting += [self.nodes[edge.digest]].compactMap { $0 } }
            }
        }

        /// A manifest, its blobs, and the same of what is attached to it. Images of an index are not its own.
        private func closure(of root: Node) -> [Node] {
            var members: [Node] = []
            var seen: Set<Node> = []
            var waiting = [root]
            while let node = waiting.popLast() {
                guard seen.insert(node).inserted else { continue }
                members.append(node)
                waiting += self.attachments[node] ?? []
                guard let facts = self.facts(node) else { continue }
                for edge in facts.children {
                    guard let child = self.nodes[edge.digest], edge.role != .manifest || self.facts(child) == nil else {
                        continue
                    }
                    waiting.append(child)
                }
            }
            return members
        }

        private mutating func addUnit(_ root: Node, _ members: [Node]) {
            var lastUse: Int64 = 0
            var isBusy = false
            for member in members {
                self.covered[Int(member)] = true
                let item = self.inventory.items[Int(member)]
                isBusy = isBusy || self.busy.contains(item.digest)
                guard let facts = item.content.manifest else { continue }
                lastUse = max(lastUse, item.content.usedAt, item.content.storedAt)
                if !self.busy.isEmpty, !isBusy { isBusy = facts.children.contains { self.busy.contains($0.digest) } }
            }
            // An engine that has an image asks for its tag alone: a pull of the index is one of its images'.
            for parent in self.parents[root] ?? [] { lastUse = max(lastUse, self.inventory.items[Int(parent)].content.usedAt) }
            self.units.append(
                Unit(
                    root: root, members: members, lastUse: lastUse,
                    isPinned: members.contains { self.pinned.contains($0) && self.facts($0) != nil }, isBusy: isBusy))
        }
    }
}
