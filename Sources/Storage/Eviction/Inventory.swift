import OCI

/// A copy of what the catalog knows, for those who have to see all of it at once: who is to go, what lies where.
package struct Inventory: Sendable {
    package struct Item: Sendable {
        package let digest: Digest
        package let content: Catalog.Content
        /// Whose share it counts for.
        package let origin: Namespace?
    }

    package struct Names: Sendable {
        package var tags: [Tag: Catalog.TagEntry]
        /// What is pinned, and since when (Unix seconds).
        package var pins: [Reference: Int64]
    }

    package let items: [Item]
    package let names: [QualifiedRepository: Names]

    package init(items: [Item], names: [QualifiedRepository: Names]) {
        self.items = items
        self.names = names
    }

    /// Copies the catalog shard by shard: what changes meanwhile may be in it or not. Not for event loops.
    package init(_ catalog: Catalog) {
        var items: [Item] = []
        items.reserveCapacity(catalog.total.blobs)
        catalog.forEachContent { items.append(Item(digest: $0, content: $1, origin: $2)) }
        self.items = items
        var names: [QualifiedRepository: Names] = [:]
        for repository in catalog.allRepositories {
            names[repository] = Names(tags: catalog.tags(in: repository), pins: catalog.pins(in: repository))
        }
        self.names = names
    }

    /// The same with no pins but those of one repository.
    func withPins(of repository: QualifiedRepository) -> Inventory {
        var names = self.names
        for other in names.keys where other != repository { names[other]?.pins = [:] }
        return Inventory(items: self.items, names: names)
    }
}
