/// Goes through all that belongs to an image, each blob once.
///
/// Its memory is as large as the store, so one is used for many images.
struct UsageWalk {
    private let graph: UsageGraph
    /// The last round in which each blob was seen.
    private var seen: [Int32]
    private var round: Int32 = 0
    private var waiting: [UsageGraph.Node] = []
    private var attached: [UsageGraph.Node] = []

    init(_ graph: UsageGraph) {
        self.graph = graph
        self.seen = [Int32](repeating: 0, count: graph.sizes.count)
    }

    /// Calls `body` with everything that is stored of an image, and whether it is only attached to it.
    ///
    /// - Parameter repository: whose attachments count, by its position in the report.
    mutating func visit(
        _ root: UsageGraph.Node, in repository: Int, _ body: (UsageGraph.Node, _ isAttached: Bool) -> Void
    ) {
        self.round += 1
        let attachments = self.graph.attachments[repository]
        self.push(root)
        var isAttached = false
        while true {
            while let node = self.waiting.popLast() {
                body(node, isAttached)
                guard self.graph.isManifest(node) else { continue }
                for child in self.graph.children(of: node) { self.push(child) }
                if let more = attachments?[node] { self.attached += more }
            }
            guard let next = self.attached.popLast() else { return }
            isAttached = true
            self.push(next)
        }
    }

    private mutating func push(_ node: UsageGraph.Node) {
        guard self.seen[Int(node)] != self.round else { return }
        self.seen[Int(node)] = self.round
        self.waiting.append(node)
    }
}
