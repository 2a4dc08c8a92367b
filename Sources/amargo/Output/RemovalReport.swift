import Maintenance
import OCI
import Storage

/// `amargo du --without`: what would come back, and for whom the rest stays.
struct RemovalReport {
    /// A name that goes while its image has others.
    struct Name {
        let name: String
        let others: [String]
    }

    let usage: DiskUsage
    let removal: DiskUsage.Removal
    let names: [Name]

    private static let shownKeepers = 2

    func text() -> String {
        var text = ""
        if !self.removal.parts.isEmpty {
            let isOne = self.removal.parts.count == 1
            let sizes = isOne ? ["FREES", "STAYS"] : ["ALONE", "TOGETHER", "STAYS"]
            var table = TextTable([("IMAGE", .left)] + sizes.map { ($0, .right) } + [("FOR", .left)])
            for part in self.removal.parts {
                let bytes = (isOne ? [part.alone] : [part.alone, part.together]) + [part.kept]
                let cells = bytes.map { UsageSummary.size($0) }
                table.add([UsageTable.short(self.name(part.image))] + cells + [self.describe(part.keepers)])
            }
            text += table.lines.map { "\($0)\n" }.joined() + "\n"
        }
        for name in self.names {
            text += "\(name.name) frees nothing: its content stays, as \(name.others.joined(separator: ", "))\n"
        }
        for part in self.removal.parts where self.usage.images[part.image].isPinned {
            text += "\(self.name(part.image)) is pinned: amargo rm refuses it until amargo unpin takes the pin back\n"
        }
        return text + self.total + "\n"
    }

    private var total: String {
        let count = self.removal.parts.count
        let what = count == 1 ? "this image" : "these \(count) images together"
        var text =
            "Removing \(count == 0 ? "these names" : what) would free \(UsageSummary.size(self.removal.freed)) in "
            + UsageSummary.count(self.removal.blobs, "blob")
        if self.removal.later > 0 {
            text += ", \(UsageSummary.size(self.removal.later)) of that with the next amargo gc"
        }
        guard self.removal.kept > 0 else { return text }
        text += "; \(UsageSummary.size(self.removal.kept)) of \(count == 1 ? "it stays" : "theirs stay")"
        return text + (count == 1 ? "" : " for \(self.describe(self.removal.keepers))")
    }

    private func describe(_ keepers: [DiskUsage.Removal.Keeper]) -> String {
        let shown = keepers.prefix(Self.shownKeepers).map { keeper in
            "\(UsageTable.short(self.name(keeper.image))) (\(UsageSummary.size(keeper.bytes)))"
        }
        let rest = keepers.count - shown.count
        return shown.isEmpty ? "-" : shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }

    private func name(_ image: Int) -> String { self.usage.name(of: self.usage.images[image]) }

    /// A line of JSON for each image and each name, and one for all.
    func json() -> String {
        var text = ""
        for part in self.removal.parts {
            let image = self.usage.images[part.image]
            text += """
                {"kind":"image","name":\(JSONText.quoted(self.name(part.image))),"digest":"\(image.digest)",\
                "aloneBytes":\(part.alone),"togetherBytes":\(part.together),"keptBytes":\(part.kept),\
                "keptFor":\(self.json(part.keepers)),"pinned":\(image.isPinned)}\n
                """
        }
        for name in self.names {
            let others = name.others.map(JSONText.quoted).joined(separator: ",")
            text += "{\"kind\":\"name\",\"name\":\(JSONText.quoted(name.name)),\"otherNames\":[\(others)]}\n"
        }
        return text + """
            {"kind":"total","images":\(self.removal.parts.count),"blobs":\(self.removal.blobs),"freedBytes":\(self.removal.freed),\
            "laterBytes":\(self.removal.later),"keptBytes":\(self.removal.kept),"keptFor":\(self.json(self.removal.keepers))}\n
            """
    }

    private func json(_ keepers: [DiskUsage.Removal.Keeper]) -> String {
        let items = keepers.map { "{\"image\":\(JSONText.quoted(self.name($0.image))),\"bytes\":\($0.bytes)}" }
        return "[\(items.joined(separator: ","))]"
    }

    func csv() -> String {
        var text = CSVText.record(["name", "digest", "alone_bytes", "together_bytes", "kept_bytes", "kept_for", "pinned"])
        for part in self.removal.parts {
            let image = self.usage.images[part.image]
            let keepers = part.keepers.map { self.name($0.image) }.joined(separator: " ")
            text += CSVText.record([
                self.name(part.image), "\(image.digest)", "\(part.alone)", "\(part.together)", "\(part.kept)", keepers,
                "\(image.isPinned)",
            ])
        }
        return text
    }
}
