import Maintenance
import OCI

/// One place of the tree of all that is stored, with what is in it and what is in that: as much as a treemap can show.
struct DiskDocument {
    /// Places beside one another; smaller ones are summed up.
    private static let limit = 60
    /// Places within all of those together, about.
    private static let inner = 240

    let usage: UsageSnapshot

    func json(_ namespace: Namespace?, _ name: RepositoryName?) -> String {
        let usage = self.usage
        var total = usage.total
        var nodes: [Node] = []
        if let namespace {
            let registry = usage.registries.first { $0.name == namespace }
            total = registry?.figures ?? DiskUsage.Figures()
            let repositories = registry.map { usage.repositories[$0.repositories] } ?? []
            if let name {
                let repository = repositories.first { $0.name.name == name }
                total = repository?.figures ?? DiskUsage.Figures()
                nodes = repository.map { Self.largest(self.images(of: $0), in: "\($0.name)") } ?? []
            } else {
                nodes = Self.largest(repositories.map(self.node), in: "\(namespace)")
                nodes = Self.filled(nodes) { name in repositories.first { "\($0.name)" == name }.map(self.images) ?? [] }
            }
        } else {
            nodes = Self.largest(usage.registries.map(self.node) + self.orphans, in: "")
            nodes = Self.filled(nodes) { name in
                let registry = usage.registries.first { "\($0.name)" == name }
                return registry.map { usage.repositories[$0.repositories].map(self.node) } ?? []
            }
        }
        let registries = usage.registries.map { JSONText.quoted("\($0.name)") }.joined(separator: ",")
        return """
            {"total":{\(total.json)},"registries":[\(registries)],"nodes":[\(nodes.map(\.json).joined(separator: ","))]}

            """
    }

    /// A place, ready to be written.
    private struct Node {
        let key: String
        let kind: String
        let name: String
        /// In a small space.
        var label: String?
        var registry: String?
        var repository: String?
        /// What finds it among the images.
        var search: String?
        var figures: DiskUsage.Figures
        var children: [Node] = []

        var json: String {
            var text = "{\"key\":\(JSONText.quoted(self.key)),\"kind\":\"\(self.kind)\",\"name\":\(JSONText.quoted(self.name)),"
            for (name, value) in [
                ("label", self.label), ("registry", self.registry), ("repository", self.repository), ("search", self.search),
            ] {
                if let value { text += "\"\(name)\":\(JSONText.quoted(value))," }
            }
            text += self.kind == "rest" ? self.figures.sums : self.figures.json
            if !self.children.isEmpty { text += ",\"children\":[\(self.children.map(\.json).joined(separator: ","))]" }
            return text + "}"
        }
    }

    private func node(_ registry: DiskUsage.Registry) -> Node {
        let name = "\(registry.name)"
        return Node(key: name, kind: "registry", name: name, registry: name, figures: registry.figures)
    }

    private func node(_ repository: DiskUsage.Repository) -> Node {
        let name = "\(repository.name.name)"
        return Node(
            key: "\(repository.name)", kind: "repository", name: name,
            // As people call it.
            label: name.hasPrefix("library/") ? String(name.dropFirst(8)) : nil, registry: "\(repository.name.namespace)",
            repository: name, figures: repository.figures)
    }

    /// Places with what is in them; the more there are, the less of each.
    private static func filled(_ nodes: [Node], _ children: (_ key: String) -> [Node]) -> [Node] {
        let limit = max(4, Self.inner / max(1, nodes.count))
        return nodes.map { node in
            var node = node
            if node.kind != "rest" { node.children = Self.largest(children(node.key), in: node.key, limit) }
            return node
        }
    }

    private func images(of repository: DiskUsage.Repository) -> [Node] {
        let name = repository.name
        return self.usage.images[repository.images].map { image in
            let digest = "\(image.digest.algorithm.rawValue):\(image.digest.hex.prefix(12))"
            let label = image.tags.isEmpty ? digest : image.label
            return Node(
                key: "\(name)@\(image.digest)", kind: "image",
                name: image.tags.isEmpty ? "\(name.name)@\(digest)" : "\(name.name):\(label)",
                label: label, registry: "\(name.namespace)", repository: "\(name.name)",
                search: image.tags.first.map { "\(name):\($0)" } ?? "\(name) \(image.digest.hex.prefix(12))",
                figures: image.figures)
        }
    }

    private var orphans: [Node] {
        let orphans = self.usage.orphans
        guard orphans.blobs > 0 else { return [] }
        var figures = DiskUsage.Figures()
        figures.logical = orphans.logical
        figures.unique = orphans.allocated
        figures.attributed = orphans.allocated
        figures.blobs = orphans.blobs
        return [Node(key: "(orphans)", kind: "other", name: "Content of no image", figures: figures)]
    }

    /// The largest first, the smallest of many as one.
    private static func largest(_ nodes: [Node], in place: String, _ limit: Int = DiskDocument.limit) -> [Node] {
        let sorted = nodes.sorted { ($1.figures.attributed, $0.key) < ($0.figures.attributed, $1.key) }
        guard sorted.count > limit else { return sorted }
        let rest = sorted[(limit - 1)...]
        var figures = DiskUsage.Figures()
        for node in rest {
            figures.logical = figures.logical.addingSize(node.figures.logical)
            figures.attributed = figures.attributed.addingSize(node.figures.attributed)
            figures.images += node.figures.images
            figures.pulls += node.figures.pulls
            figures.lastPulled = max(figures.lastPulled, node.figures.lastPulled)
        }
        let node = Node(
            key: "\(place) (rest)", kind: "rest", name: "\(rest.count) smaller ones", registry: rest.first?.registry,
            repository: nil, figures: figures)
        return sorted.prefix(limit - 1) + [node]
    }
}

extension DiskUsage.Figures {
    /// Of several places, those that can be summed up.
    fileprivate var sums: String {
        """
        "logicalBytes":\(self.logical),"attributedBytes":\(self.attributed),"images":\(self.images),\
        "lastPulled":\(self.lastPulled),"pulls":\(self.pulls)
        """
    }
}
