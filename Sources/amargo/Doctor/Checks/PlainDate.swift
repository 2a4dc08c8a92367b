import Glibc

/// Unix seconds as people read them, in UTC.
enum PlainDate {
    /// `2026-11-28`
    static func day(_ seconds: Int64) -> String { self.text(seconds, "%Y-%m-%d") }

    /// `2026-11-28 18:05:00Z`
    static func moment(_ seconds: Int64) -> String { self.text(seconds, "%Y-%m-%d %H:%M:%SZ") }

    private static func text(_ seconds: Int64, _ format: String) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&moment, &parts) != nil else { return "\(seconds)" }
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// `3 s`, `4 minutes`, `2 hours`, `5 days`
    static func span(_ seconds: Int64) -> String {
        switch abs(seconds) {
        case ..<120: "\(abs(seconds)) s"
        case ..<7200: "\(abs(seconds) / 60) minutes"
        case ..<172_800: "\(abs(seconds) / 3600) hours"
        default: "\(abs(seconds) / 86_400) days"
        }
    }
}
