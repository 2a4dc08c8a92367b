import OCI
import Storage

extension DiskUsage {
    /// The figures of some of the images, and of what they are in a repository, in a registry and in all.
    ///
    /// Unique is what nobody needs outside of that part: images that were not chosen are outside.
    package struct Selection: Sendable {
        /// By the positions in `DiskUsage.images`.
        package let isChosen: [Bool]
        /// By the positions in `DiskUsage.repositories`.
        package let repositories: [Figures]
        /// By the positions in `DiskUsage.registries`.
        package let registries: [Figures]
        package let all: Figures
    }

    /// Counts some of the images. Not for event loops.
    package func select(_ isChosen: (Image) -> Bool) -> Selection {
        let chosen = self.images.map(isChosen)
        guard chosen.contains(false) else {
            return Selection(
                isChosen: chosen, repositories: self.repositories.map(\.figures), registries: self.registries.map(\.figures),
                all: self.figures)
        }
        var walk = UsageWalk(self.graph)
        var tally = UsageTally(graph: self.graph, repositories: self.repositories, images: self.images)
        for (position, image) in self.images.enumerated() where chosen[position] {
            tally.begin(position)
            self.visit(image, &walk) { node, isAttached in
                tally.add(node, pulls: isAttached ? 0 : self.pulls[node] ?? 0)
            }
        }
        tally.settle(among: self.users)
        for (position, image) in self.images.enumerated() where chosen[position] {
            tally.attribute(image.figures.attributed, to: position)
        }
        return Selection(
            isChosen: chosen, repositories: tally.repositories, registries: tally.registries, all: tally.all)
    }

    /// Goes through all that is stored of an image.
    func visit(_ image: Image, _ walk: inout UsageWalk, _ body: (UsageGraph.Node, _ isAttached: Bool) -> Void) {
        guard let root = self.graph.node(image.digest) else { return }
        walk.visit(root, in: image.repository, body)
    }
}
