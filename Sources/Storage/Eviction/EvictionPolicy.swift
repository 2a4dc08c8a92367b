import OCI

/// Chooses what goes: orphans first, then whole images, least recently pulled first.
///
/// Pure: the same inventory gives the same plan. Pinned images and those in use at this moment are never in it.
struct EvictionPolicy {
    private let graph: ImageGraph
    private let inventory: Inventory
    /// How many units and indexes still have this content.
    private var holders: [Int32]
    private var storedChildren: [ImageGraph.Node: Int]
    private var names: [Digest: [String]]?
    private let busy: Set<Digest>

    init(_ inventory: Inventory, busy: Set<Digest>) {
        self.inventory = inventory
        self.busy = busy
        self.graph = ImageGraph(inventory, busy: busy)
        self.storedChildren = self.graph.storedChildren
        self.holders = [Int32](repeating: 0, count: inventory.items.count)
        for unit in self.graph.units {
            for member in unit.members { self.holders[Int(member)] += 1 }
        }
        for members in self.graph.indexMembers.values {
            for member in members { self.holders[Int(member)] += 1 }
        }
    }

    /// - Parameter orphanAge: content that belongs to nobody may go when it came before this moment (Unix seconds).
    mutating func plan(for goal: EvictionGoal, orphansBefore: Int64) -> EvictionPlan {
        var plan = EvictionPlan()
        var missing: Int64 =
            if case .room(let bytes, _) = goal { bytes } else { .max }
        let namespace: Namespace? =
            switch goal {
            case .room(_, let namespace), .unused(_, let namespace): namespace
            case .orphans: nil
            }
        let items = self.graph.items
        func counts(_ node: ImageGraph.Node) -> Bool { namespace == nil || items[Int(node)].origin == namespace }
        if case .unused = goal {} else { self.addOrphans(before: orphansBefore, where: counts, &missing, to: &plan) }
        if case .orphans = goal { return plan }
        var candidates = self.graph.units.map { Candidate.unit($0) }
        // Their manifest may be on the way, so they go in their turn, not first.
        if case .room = goal {
            candidates += self.graph.orphans.filter { items[Int($0)].content.storedAt >= orphansBefore }.map {
                .orphan($0, items[Int($0)].content.storedAt)
            }
        }
        candidates.sort { ($0.lastUse, $0.root) < ($1.lastUse, $1.root) }
        for candidate in candidates where missing > 0 {
            guard case .unit(let unit) = candidate else {
                if counts(candidate.root) { self.addOrphan(candidate.root, &missing, to: &plan) }
                continue
            }
            if case .unused(let since, _) = goal, unit.lastUse >= since { break }
            if unit.isPinned || unit.isBusy {
                plan.untouchable += 1
                continue
            }
            // For one registry's cap only what counts for it helps.
            guard namespace == nil || self.frees(unit, of: namespace) else { continue }
            let freed = self.release(unit)
            guard !freed.isEmpty else { continue }
            var reason = EvictionPlan.Reason.leastRecentlyPulled
            if case .unused = goal { reason = .unused }
            plan.items.append(self.item(reason, unit.root, freed, lastUse: unit.lastUse))
            for node in freed where counts(node) {
                let bytes = DiskSpace.allocated(items[Int(node)].content.size)
                missing -= bytes
                plan.gain += bytes
            }
        }
        return plan
    }

    /// What may go, in the order of its last use.
    private enum Candidate {
        case unit(ImageGraph.Unit)
        case orphan(ImageGraph.Node, Int64)

        var lastUse: Int64 {
            switch self {
            case .unit(let unit): unit.lastUse
            case .orphan(_, let at): at
            }
        }

        var root: ImageGraph.Node {
            switch self {
            case .unit(let unit): unit.root
            case .orphan(let node, _): node
            }
        }
    }

    /// Whether the going of a unit takes anything from a registry's share.
    private func frees(_ unit: ImageGraph.Unit, of namespace: Namespace?) -> Bool {
        unit.members.contains { self.holders[Int($0)] == 1 && self.graph.items[Int($0)].origin == namespace }
    }

    private mutating func addOrphans(
        before: Int64, where counts: (ImageGraph.Node) -> Bool, _ missing: inout Int64, to plan: inout EvictionPlan
    ) {
        let items = self.graph.items
        let orphans = self.graph.orphans.sorted { (items[Int($0)].content.storedAt, $0) < (items[Int($1)].content.storedAt, $1) }
        for node in orphans where missing > 0 && counts(node) {
            if items[Int(node)].content.storedAt < before { self.addOrphan(node, &missing, to: &plan) }
        }
    }

    private mutating func addOrphan(_ node: ImageGraph.Node, _ missing: inout Int64, to plan: inout EvictionPlan) {
        let item = self.graph.items[Int(node)]
        guard !self.busy.contains(item.digest), !self.graph.pinnedNodes.contains(node) else { return }
        plan.items.append(self.item(.orphan, node, [node], lastUse: item.content.storedAt))
        let bytes = DiskSpace.allocated(item.content.size)
        missing -= bytes
        plan.gain += bytes
    }

    /// Takes a unit out; returns what nobody has any more, manifests first, indexes whose last image it was among them.
    private mutating func release(_ unit: ImageGraph.Unit) -> [ImageGraph.Node] {
        var freed = self.letGo(of: unit.members)
        var gone = freed.filter { self.graph.items[Int($0)].content.manifest != nil }
        while let manifest = gone.popLast() {
            for index in self.graph.parents[manifest] ?? [] {
                let left = (self.storedChildren[index] ?? 0) - 1
                self.storedChildren[index] = left
                guard left == 0, let members = self.graph.indexMembers[index], !self.graph.pinnedNodes.contains(index) else {
                    continue
                }
                let more = self.letGo(of: members)
                gone += more.filter { self.graph.items[Int($0)].content.manifest != nil }
                freed += more
            }
        }
        // An index before its images and a manifest before its blobs: whoever finds a half does not believe in it.
        return freed.sorted { left, right in
            let (a, b) = (self.graph.items[Int(left)].content.manifest, self.graph.items[Int(right)].content.manifest)
            return Self.rank(a) < Self.rank(b)
        }
    }

    private static func rank(_ manifest: ManifestFacts?) -> Int {
        guard let manifest else { return 2 }
        return manifest.mediaType.isIndex ? 0 : 1
    }

    private mutating func letGo(of members: [ImageGraph.Node]) -> [ImageGraph.Node] {
        members.filter { member in
            self.holders[Int(member)] -= 1
            return self.holders[Int(member)] == 0
        }
    }

    private mutating func item(
        _ reason: EvictionPlan.Reason, _ root: ImageGraph.Node, _ nodes: [ImageGraph.Node], lastUse: Int64
    ) -> EvictionPlan.Item {
        let items = nodes.map { self.graph.items[Int($0)] }
        let names = self.allNames()
        var found = Set(items.flatMap { names[$0.digest] ?? [] })
        // An image of an index that stays is called by the index's name.
        for index in self.graph.parents[root] ?? [] { found.formUnion(names[self.graph.items[Int(index)].digest] ?? []) }
        return EvictionPlan.Item(
            reason: reason, root: self.graph.items[Int(root)].digest, names: found.sorted(), contents: items.map(\.digest),
            bytes: items.reduce(0) { $0 + DiskSpace.allocated($1.content.size) }, lastUse: lastUse,
            newest: items.lazy.map { max($0.content.storedAt, $0.content.usedAt) }.max() ?? lastUse)
    }

    private mutating func allNames() -> [Digest: [String]] {
        if let names = self.names { return names }
        var names: [Digest: [String]] = [:]
        for (repository, entry) in self.inventory.names {
            for (tag, target) in entry.tags { names[target.digest, default: []].append("\(repository):\(tag)") }
        }
        self.names = names
        return names
    }
}
