import Maintenance
import OCI
import Storage

/// A line of `amargo du`: some part of a store and its figures.
struct UsageRow {
    /// `registry`, `repository`, `tag`, `image`, `layer`, or `orphans`.
    var kind: String
    var name: String
    var digest: Digest?
    var tags: [String] = []
    /// For content, `layer`, `config`, `manifest`, `index` or `blob`.
    var content: String?
    var isPinned = false
    var figures: DiskUsage.Figures

    var json: String {
        var text = "{\"kind\":\"\(self.kind)\",\"name\":\(JSONText.quoted(self.name))"
        if let digest = self.digest { text += ",\"digest\":\"\(digest)\"" }
        if self.kind == "image" || self.kind == "tag" {
            text += ",\"tags\":[\(self.tags.map(JSONText.quoted).joined(separator: ","))],\"pinned\":\(self.isPinned)"
        }
        if let content = self.content { text += ",\"content\":\"\(content)\"" }
        return text + ",\(self.figures.json)}"
    }

    static let csvHeader = [
        "kind", "name", "digest", "tags", "content", "pinned", "logical_bytes", "unique_bytes", "shared_bytes",
        "attributed_bytes",
        "blobs", "images", "last_pulled", "pulls",
    ]

    /// In the order of `csvHeader`; the time is RFC 3339's, and empty when there is none.
    var csv: [String] {
        let numbers = [self.figures.logical, self.figures.unique, self.figures.shared, self.figures.attributed].map { "\($0)" }
        let counts = ["\(self.figures.blobs)", "\(self.figures.images)"]
        let pulled = self.figures.lastPulled > 0 ? Quantity.instant(self.figures.lastPulled) : ""
        return [
            self.kind, self.name, self.digest.map { "\($0)" } ?? "", self.tags.joined(separator: " "), self.content ?? "",
            "\(self.isPinned)",
        ] + numbers + counts + [pulled, "\(self.figures.pulls)"]
    }
}

/// Comma-separated values: RFC 4180.
enum CSVText {
    /// A record with its line end.
    static func record(_ fields: [String]) -> String { fields.map(Self.field).joined(separator: ",") + "\r\n" }

    private static func field(_ text: String) -> String {
        guard text.utf8.contains(where: { [UInt8(ascii: ","), UInt8(ascii: "\""), 0x0A, 0x0D].contains($0) }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

extension Quantity {
    /// A moment in Unix seconds for programs: `2026-11-24T12:00:00Z`.
    static func instant(_ seconds: Int64) -> String {
        let minute = Self.date(seconds)
        let rest = seconds % 60
        return "\(minute.prefix(10))T\(minute.dropFirst(11).prefix(5)):\(rest < 10 ? "0" : "")\(rest)Z"
    }
}
