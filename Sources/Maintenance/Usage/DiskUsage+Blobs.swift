import OCI
import Storage

extension DiskUsage {
    /// A blob of some images.
    package struct Blob: Sendable {
        package let digest: Digest
        /// `layer`, `config`, `manifest`, `index`, or `blob` for everything else.
        package let kind: String
        /// What it is to the images that were chosen: unique when it has one image only. `images` are all that have it.
        package let figures: Figures
        /// Position of the first of its images that were chosen; nil for content of no image.
        package let image: Int?
    }

    /// What the chosen images have; when all are chosen, what belongs to none as well. Not for event loops.
    package func blobs(of selection: Selection) -> [Blob] {
        var walk = UsageWalk(self.graph)
        let count = self.graph.sizes.count
        var figures = [Figures?](repeating: nil, count: count)
        var first = [Int32](repeating: -1, count: count)
        var given = [Int32](repeating: 0, count: count)
        for (position, image) in self.images.enumerated() {
            self.visit(image, &walk) { node, _ in
                let blob = Int(node)
                let share = self.share(of: node, number: given[blob])
                given[blob] += 1
                guard selection.isChosen[position] else { return }
                if first[blob] < 0 { first[blob] = Int32(position) }
                var own = figures[blob] ?? self.figures(of: node)
                own.attributed += share
                own.pulls += image.figures.pulls
                own.lastPulled = max(own.lastPulled, image.figures.lastPulled)
                figures[blob] = own
            }
        }
        let isEverything = !selection.isChosen.contains(false)
        return (0..<count).compactMap { blob in
            let node = UsageGraph.Node(blob)
            let own = figures[blob] ?? (isEverything && self.users[blob] == 0 ? self.figures(of: node) : nil)
            guard let own else { return nil }
            return Blob(
                digest: self.graph.digests[blob], kind: self.graph.kinds[blob].description, figures: own,
                image: first[blob] < 0 ? nil : Int(first[blob]))
        }
    }

    private func figures(of node: UsageGraph.Node) -> Figures {
        let blob = Int(node)
        var figures = Figures()
        figures.logical = self.graph.sizes[blob]
        figures.blobs = 1
        figures.images = Int(self.users[blob])
        if self.users[blob] > 1 {
            figures.shared = self.graph.allocated[blob]
        } else {
            figures.unique = self.graph.allocated[blob]
        }
        if self.users[blob] == 0 { figures.attributed = self.graph.allocated[blob] }
        return figures
    }

    /// What the image gets that is the `number`th, from 0, to have a blob.
    func share(of node: UsageGraph.Node, number: Int32) -> Int64 {
        self.graph.share(of: node, among: self.users[Int(node)], number: number)
    }
}

extension UsageGraph.Kind: CustomStringConvertible {
    var description: String {
        switch self {
        case .unknown, .blob: "blob"
        case .config: "config"
        case .layer: "layer"
        case .manifest: "manifest"
        case .index: "index"
        }
    }
}
