/// Columns of text, as wide as what is in them.
struct TextTable {
    private var rows: [[String]]
    /// Columns whose text ends at the right, as numbers do.
    private let right: Set<Int>

    init(_ header: [String], rightAligned: Set<Int> = []) {
        self.rows = [header]
        self.right = rightAligned
    }

    mutating func add(_ row: [String]) { self.rows.append(row) }

    /// All lines, with their ends.
    var text: String {
        let widths = self.rows[0].indices.map { column in self.rows.lazy.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in self.rows {
            var line = ""
            for (column, cell) in row.enumerated() {
                if column > 0 { line += "  " }
                let space = String(repeating: " ", count: widths[column] - cell.count)
                line += self.right.contains(column) ? space + cell : cell + space
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }
}
