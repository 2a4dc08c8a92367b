import Glibc
import Logging
import OCI

/// Log lines as people grep them, or as JSON, one object a line.
struct AmargoLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level
    private let format: Settings.LogFormat
    private let writer: LogWriter

    init(level: Logger.Level, format: Settings.LogFormat, writer: LogWriter) {
        self.logLevel = level
        self.format = format
        self.writer = writer
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = self.metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = Self.timestamp()
        switch self.format {
        case .text:
            let tail = facts.map { " \($0.key)=\(Self.word("\($0.value)"))" }.joined()
            let level = event.level.rawValue.uppercased()
            self.writer.write("\(time) \(level) \(Self.safe("\(event.message)"))\(tail)\n")
        case .json:
            let tail = facts.map { ",\(JSONText.quoted($0.key)):\(JSONText.quoted("\($0.value)"))" }.joined()
            self.writer.write(
                "{\"time\":\"\(time)\",\"level\":\"\(event.level.rawValue)\",\"message\":\(JSONText.quoted("\(event.message)"))\(tail)}\n"
            )
        }
    }

    /// Control characters and marks of writing direction can make one line look like another.
    private static func safe(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: Self.isUnsafe) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if Self.isUnsafe(scalar) {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    private static func word(_ text: String) -> String {
        let needsQuotes = text.isEmpty || text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        return needsQuotes ? JSONText.quoted(text) : Self.safe(text)
    }

    /// `2026-11-24T08:06:44.123Z`
    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let thousandths = now.tv_nsec / 1_000_000
        let fraction = thousandths < 10 ? "00\(thousandths)" : thousandths < 100 ? "0\(thousandths)" : "\(thousandths)"
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
    }
}
