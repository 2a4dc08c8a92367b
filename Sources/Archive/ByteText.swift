/// Sizes in sentences: `4.2 GB`.
enum ByteText {
    static func describe(_ bytes: Int64) -> String {
        for (factor, unit) in [(Int64(1_000_000_000), "GB"), (1_000_000, "MB"), (1_000, "kB")] where bytes >= factor {
            let tenths = bytes / (factor / 10)
            return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(bytes) bytes"
    }
}
