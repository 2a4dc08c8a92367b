import OCI

/// Rows of text in columns. Numbers stand at the right of theirs.
struct TextTable {
    enum Alignment {
        case left, right
    }

    private let alignments: [Alignment]
    private var rows: [[String]]

    init(_ header: [(title: String, alignment: Alignment)]) {
        self.alignments = header.map(\.alignment)
        self.rows = [header.map(\.title)]
    }

    /// Some of what is shown images say of themselves, so it is made visible.
    mutating func add(_ cells: [String]) { self.rows.append(cells.map(VisibleText.escaped)) }

    /// The header first; no line ends in spaces.
    var lines: [String] {
        let widths = self.alignments.indices.map { column in self.rows.lazy.map { $0[column].count }.max() ?? 0 }
        return self.rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                if column > 0 { line += "  " }
                let space = String(repeating: " ", count: widths[column] - cell.count)
                line += self.alignments[column] == .left ? cell + space : space + cell
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
