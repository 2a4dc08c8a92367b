import Glibc

/// Sizes and durations as people write them.
enum Quantity {
    private static let units: [(suffix: String, factor: Int64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
        ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000), ("B", 1),
    ]

    /// Bytes: a number, or a number and a unit. `10GB` is 10¹⁰, `10GiB` is 10·2³⁰; a fraction is allowed with a unit.
    static func bytes(_ text: String) -> Int64? {
        let trimmed = text.filter { $0 != " " && $0 != "_" }
        if Self.areDigits(trimmed[...]) { return Int64(trimmed) }
        for (suffix, factor) in self.units where trimmed.hasSuffix(suffix) {
            let number = trimmed.dropLast(suffix.count)
            // `Double` would take signs, exponents and hexadecimal digits.
            let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.allSatisfy(Self.areDigits), let value = Double(number) else { return nil }
            let bytes = (value * Double(factor)).rounded()
            return bytes < 9e18 ? Int64(bytes) : nil
        }
        return nil
    }

    /// Seconds: a number, or a number with `s`, `m`, `h` or `d`.
    static func seconds(_ text: String) -> Int64? {
        if Self.areDigits(text[...]) { return Int64(text).flatMap { $0 <= 315_360_000 ? $0 : nil } }
        let factors: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        let number = text.dropLast()
        guard let unit = text.last, let factor = factors[unit], Self.areDigits(number), let value = Int64(number) else {
            return nil
        }
        let (seconds, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow || seconds > 315_360_000 ? nil : seconds
    }

    private static func areDigits(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// A moment in Unix seconds for people, in UTC: `2026-11-24 12:00Z`.
    static func date(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
        func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return
            "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) \(two(parts.tm_hour)):\(two(parts.tm_min))Z"
    }

    /// Bytes for people: `1.5 GB`.
    static func describe(bytes: Int64) -> String {
        let steps: [(Int64, String)] = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")]
        for (factor, unit) in steps where bytes >= factor {
            let tenths = bytes / (factor / 10)
            return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(bytes) bytes"
    }
}
