import Maintenance
import OCI
import Storage

/// What `amargo du` lists, for people.
struct UsageTable {
    let part: UsageRows.Part
    /// What belongs to no image, where that is a line.
    let orphans: UsageRow?
    let grouping: UsageGrouping

    var text: String {
        let header = self.header
        let pulls = header.firstIndex(of: "PULLS") ?? 0
        let left: Set<String> = [header[0], "KIND", "LAST PULLED"]
        var table = TextTable(
            header.enumerated().map { ($1, $0 <= pulls && !left.contains($1) ? .right : .left) })
        for row in self.part.rows { table.add(self.cells(row)) }
        if self.part.left > 0 {
            let bytes = Quantity.describe(bytes: self.part.leftBytes)
            table.add(header.enumerated().map { $1 == "ATTRIBUTED" ? bytes : $0 == 0 ? "\(self.part.left) more" : "" })
        }
        if let orphans = self.orphans { table.add(self.cells(orphans)) }
        return table.lines.map { "\($0)\n" }.joined()
    }

    /// Whether anything that is shown is pinned.
    private var isPinning: Bool { self.part.rows.contains(where: \.isPinned) }

    private var header: [String] {
        let sizes = ["LOGICAL", "UNIQUE", "SHARED", "ATTRIBUTED"]
        switch self.grouping {
        case .layer: return ["DIGEST", "KIND"] + sizes + ["IMAGES", "LAST PULLED", "PULLS", "FIRST IMAGE"]
        case .registry, .repository:
            return [self.grouping.rawValue.uppercased()] + sizes + ["BLOBS", "IMAGES", "LAST PULLED", "PULLS"]
        case .tag, .image:
            return [self.grouping.rawValue.uppercased()] + sizes + ["BLOBS", "LAST PULLED", "PULLS"]
                + (self.isPinning ? ["PINNED"] : [])
        }
    }

    private func cells(_ row: UsageRow) -> [String] {
        let figures = row.figures
        let sizes = [figures.logical, figures.unique, figures.shared, figures.attributed].map { Quantity.describe(bytes: $0) }
        let pulled = figures.lastPulled > 0 ? Quantity.date(figures.lastPulled) : "-"
        let pulls = figures.pulls > 0 ? "\(figures.pulls)" : "-"
        switch self.grouping {
        case .layer:
            let digest = row.digest.map { "\($0.algorithm.rawValue):\($0.hex.prefix(12))" } ?? "-"
            let image = row.name.isEmpty ? "(no image)" : Self.short(row.name)
            return [digest, row.content ?? ""] + sizes + ["\(figures.images)", pulled, pulls, image]
        case .registry, .repository: return [row.name] + sizes + ["\(figures.blobs)", "\(figures.images)", pulled, pulls]
        case .tag, .image:
            // An image of several tags by the first of them and how many more there are.
            let name = row.tags.count > 1 ? "\(row.name) (+\(row.tags.count - 1))" : Self.short(row.name)
            return [name] + sizes + ["\(figures.blobs)", pulled, pulls] + (self.isPinning ? [row.isPinned ? "yes" : "-"] : [])
        }
    }

    /// A name with only the beginning of its digest, if it has one: as much as tells images apart.
    static func short(_ name: String) -> String {
        guard let at = name.firstIndex(of: "@"), let colon = name[at...].firstIndex(of: ":") else { return name }
        return "\(name[...colon])\(name[colon...].dropFirst().prefix(12))"
    }
}
