import Maintenance
import OCI
import Storage

/// `amargo du --tree`: registries, repositories and images, each with a bar.
struct UsageTreeText {
    struct Node {
        var name: String
        var figures: DiskUsage.Figures
        var children: [Node] = []
    }

    private struct Line {
        let name: String
        /// Nil for a line that only says how many are left out.
        let figures: DiskUsage.Figures?
    }

    let order: UsageOrder
    /// How many are shown of each level; nil for all.
    let top: Int?
    let shape: TerminalShape

    func text(_ nodes: [Node], whole allocated: Int64) -> String {
        var lines: [Line] = []
        self.add(nodes, indent: nil, to: &lines)
        // Sizes of what is unique or shared do not add up; others do.
        let whole: Int64 =
            switch self.order {
            case .unique, .shared: allocated
            default: nodes.reduce(0) { $0 + self.order.bytes($1.figures) }
            }
        let isUnique = self.order == .unique
        let titles = (self.title, isUnique ? "ATTRIBUTED" : "UNIQUE")
        let cells = lines.map { line -> (String, String, String) in
            guard let figures = line.figures else { return ("", "", "") }
            let bytes = self.order.bytes(figures)
            return (
                Quantity.describe(bytes: bytes), UsageSummary.percent(bytes, of: whole),
                Quantity.describe(bytes: isUnique ? figures.attributed : figures.unique)
            )
        }
        let widths = (
            max(titles.0.count, cells.lazy.map(\.0.count).max() ?? 0), max(5, cells.lazy.map(\.1.count).max() ?? 0),
            max(titles.1.count, cells.lazy.map(\.2.count).max() ?? 0)
        )
        let numbers = widths.0 + widths.1 + widths.2 + 8
        let longest = lines.lazy.map(\.name.count).max() ?? 0
        let room = max(12, self.shape.columns - 1 - numbers - 12)
        let nameWidth = min(max(longest, 4), room)
        let bar = min(40, max(0, self.shape.columns - 1 - numbers - nameWidth))
        var text = Self.pad("NAME", nameWidth) + "  " + Self.right(titles.0, widths.0) + "  "
        text += Self.right("", widths.1) + "  " + Self.right(titles.1, widths.2) + "\n"
        for (line, cell) in zip(lines, cells) {
            var row = Self.pad(self.shape.cut(line.name, to: nameWidth), nameWidth)
            if let figures = line.figures {
                row += "  \(Self.right(cell.0, widths.0))  \(Self.right(cell.1, widths.1))  \(Self.right(cell.2, widths.2))  "
                row += self.shape.bar(self.order.bytes(figures), of: whole, columns: bar)
            }
            while row.last == " " { row.removeLast() }
            text += row + "\n"
        }
        return text
    }

    private var title: String {
        switch self.order {
        case .unique, .shared, .logical: self.order.rawValue.uppercased()
        default: "ATTRIBUTED"
        }
    }

    /// - Parameter indent: what stands before a name's branch; nil for the first level, which has none.
    private func add(_ nodes: [Node], indent: String?, to lines: inout [Line]) {
        let shown = nodes.prefix(self.top ?? nodes.count)
        let (middle, last, line, space) =
            self.shape.isUnicode ? ("├─ ", "└─ ", "│  ", "   ") : ("|- ", "`- ", "|  ", "   ")
        let isCut = shown.count < nodes.count
        for (number, node) in shown.enumerated() {
            let isLast = number == shown.count - 1 && !isCut
            lines.append(Line(name: (indent.map { $0 + (isLast ? last : middle) } ?? "") + node.name, figures: node.figures))
            self.add(node.children, indent: indent.map { $0 + (isLast ? space : line) } ?? "", to: &lines)
        }
        if isCut {
            let rest = nodes.count - shown.count
            let name = (indent.map { $0 + last } ?? "") + "\(self.shape.isUnicode ? "…" : "...") \(rest) more"
            lines.append(Line(name: name, figures: nil))
        }
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

extension UsageRows {
    /// The chosen images as a tree down to this level, each level in an order.
    func tree(to grouping: UsageGrouping, _ order: UsageOrder) -> [UsageTreeText.Node] {
        var nodes: [UsageTreeText.Node] = []
        for (number, registry) in self.usage.registries.enumerated() where self.selection.registries[number].images > 0 {
            var node = UsageTreeText.Node(name: "\(registry.name)", figures: self.selection.registries[number])
            if grouping != .registry { node.children = self.repositories(registry, to: grouping, order) }
            nodes.append(node)
        }
        if let orphans = self.orphans { nodes.append(UsageTreeText.Node(name: orphans.name, figures: orphans.figures)) }
        return Self.sorted(nodes, order)
    }

    private func repositories(
        _ registry: DiskUsage.Registry, to grouping: UsageGrouping, _ order: UsageOrder
    ) -> [UsageTreeText.Node] {
        let nodes = registry.repositories.compactMap { number -> UsageTreeText.Node? in
            let figures = self.selection.repositories[number]
            guard figures.images > 0 else { return nil }
            let repository = self.usage.repositories[number]
            var node = UsageTreeText.Node(name: "\(repository.name.name)", figures: figures)
            if grouping != .repository {
                let images = repository.images.filter { self.selection.isChosen[$0] }.map { self.usage.images[$0] }
                node.children = Self.sorted(
                    images.map { UsageTreeText.Node(name: Self.label($0), figures: $0.figures) }, order)
            }
            return node
        }
        return Self.sorted(nodes, order)
    }

    private static func label(_ image: DiskUsage.Image) -> String {
        let label = image.tags.isEmpty ? "@\(image.digest.algorithm.rawValue):\(image.digest.hex.prefix(12))" : image.label
        return image.isPinned ? "\(label) (pinned)" : label
    }

    private static func sorted(_ nodes: [UsageTreeText.Node], _ order: UsageOrder) -> [UsageTreeText.Node] {
        nodes.sorted { left, right in
            let (a, b) = (order.key(left.figures), order.key(right.figures))
            return a == b ? left.name < right.name : a > b
        }
    }
}
