import Maintenance
import Storage

/// The last lines of `amargo du`: what everything adds up to, and what the store has beside its blobs.
struct UsageSummary {
    let usage: DiskUsage
    /// What was chosen; nil for everything.
    let selection: DiskUsage.Selection?
    let space: StoreSpace

    var text: String {
        var lines = [self.total]
        if let chosen = self.selection?.all, chosen.images > 0 {
            let rest = chosen.shared > 0 ? "; \(Self.size(chosen.shared)) of theirs stay for others" : ""
            lines.append(
                "Chosen   \(Self.count(chosen.images, "image")): removing all of them frees \(Self.size(chosen.unique))\(rest)")
        }
        if self.usage.orphans.blobs > 0 {
            lines.append(
                "Orphans  \(Self.size(self.usage.orphans.allocated)) in \(Self.count(self.usage.orphans.blobs, "blob")) of no image; "
                    + "amargo gc removes what is older than an hour")
        }
        if !self.beside.isEmpty { lines.append("Beside   \(self.beside.joined(separator: ", "))") }
        lines.append("Disk     \(self.disk)")
        if self.space.unreadable > 0 {
            lines.append(
                "Unread   \(Self.count(self.space.unreadable, "folder")) that this user may not read; what is in them is not counted"
            )
        }
        if self.usage.missing > 0 {
            lines.append(
                "Missing  \(Self.count(self.usage.missing, "blob")) that the journal names and the disk has not; amargo verify says which"
            )
        }
        return lines.map { "\($0)\n" }.joined()
    }

    private var total: String {
        let figures = self.usage.figures
        let measured = self.space.isMeasured ? "" : " (estimated)"
        let saved =
            self.usage.missing == 0 && figures.logical > figures.unique
            ? "; sharing saves \(Self.size(figures.logical - figures.unique)) of \(Self.size(figures.logical))" : ""
        return
            "Total    \(Self.size(self.usage.allocated))\(measured) in \(Self.count(self.usage.blobs, "blob")): "
            + "\(Self.count(self.usage.images.count, "image"))\(saved)"
    }

    private var beside: [String] {
        let parts = [
            ("journal", self.space.journal), ("folders and layouts", self.space.folders), ("downloads", self.space.spool),
            ("quarantine", self.space.quarantine), ("layouts' own copies of blobs", self.space.copies),
            ("files in blobs/ that the journal does not know", self.space.unknown), ("other files", self.space.other),
        ]
        return parts.compactMap { name, bytes in bytes > 0 ? "\(name) \(Self.size(bytes))" : nil }
    }

    private var disk: String {
        let free = self.space.free.map { "\(Self.size($0)) free" } ?? "free room unknown"
        guard self.space.maxSize > 0 else { return "\(free); no cap (store.maxSize)" }
        // The journal counts twice: a compaction writes it a second time.
        let used = self.usage.allocated + self.space.bytes + self.space.journal
        return
            "\(free); the cap (store.maxSize) is \(Self.size(self.space.maxSize)), \(Self.percent(used, of: self.space.maxSize)) of it used"
    }

    /// The same for programs, as a JSON object.
    var json: String {
        var text = "{\"kind\":\"total\",\(self.usage.totals)"
        if let chosen = self.selection?.all { text += ",\"chosen\":{\(chosen.json)}" }
        return
            "\(text),\"missingBlobs\":\(self.usage.missing),\"orphans\":\(self.usage.orphans.json),\"store\":\(self.space.json)}"
    }

    static func size(_ bytes: Int64) -> String { Quantity.describe(bytes: bytes) }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    static func percent(_ part: Int64, of whole: Int64) -> String {
        guard whole > 0 else { return "0 %" }
        let share = Double(part) * 100 / Double(whole)
        if part > 0, share < 0.1 { return "<0.1 %" }
        return share >= 10 || part == 0 ? "\(Int(share.rounded())) %" : "\((share * 10).rounded() / 10) %"
    }
}
