import Logging
import OCI
import Registry

/// Log lines as people grep them, or as JSON, one object a line.
struct AmargoLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    private let shared: LogLevel
    /// Of one logger that has a level of its own.
    private var ownLevel: Logger.Level?
    private let format: Settings.LogFormat
    private let writer: LogWriter

    init(level: LogLevel, format: Settings.LogFormat, writer: LogWriter) {
        self.shared = level
        self.format = format
        self.writer = writer
    }

    init(level: Logger.Level, format: Settings.LogFormat, writer: LogWriter) {
        self.init(level: LogLevel(level), format: format, writer: writer)
    }

    var logLevel: Logger.Level {
        get { self.ownLevel ?? self.shared.level }
        set { self.ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = self.metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let shape = LineShape(self.format, event.level)
        let message: String
        let tail: String
        switch self.format {
        case .text:
            tail = facts.map { " \($0.key)=\(Self.word("\($0.value)"))" }.joined()
            message = VisibleText.escaped("\(event.message)")
        case .json:
            tail = facts.map { ",\(JSONText.quoted($0.key)):\(JSONText.quoted("\($0.value)"))" }.joined()
            message = JSONText.quoted("\(event.message)")
        }
        self.writer.write(shape.beforeTime.utf8, "\(shape.beforeMessage)\(message)\(tail)\(shape.end)".utf8)
    }

    /// What stands around the time and the message of a line.
    private struct LineShape {
        let beforeTime: String
        let beforeMessage: String
        let end: String

        init(_ format: Settings.LogFormat, _ level: Logger.Level) {
            switch format {
            case .text:
                self.beforeTime = ""
                self.beforeMessage = " \(level.rawValue.uppercased()) "
                self.end = "\n"
            case .json:
                self.beforeTime = "{\"time\":\""
                self.beforeMessage = "\",\"level\":\"\(level.rawValue)\",\"message\":"
                self.end = "}\n"
            }
        }
    }

    private static func word(_ text: String) -> String {
        let needsQuotes = text.isEmpty || text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        return needsQuotes ? JSONText.quoted(text) : VisibleText.escaped(text)
    }
}

extension AmargoLogHandler: HitLog {
    private struct Line: HitLine {
        let writer: LogWriter
        let beforeTime: [UInt8]
        let afterTime: [UInt8]

        func write() { self.writer.write(self.beforeTime, self.afterTime) }
    }

    func line(_ message: String) -> (any HitLine)? {
        guard self.logLevel <= .info else { return nil }
        let shape = LineShape(self.format, .info)
        let text = self.format == .json ? JSONText.quoted(message) : VisibleText.escaped(message)
        return Line(
            writer: self.writer, beforeTime: Array(shape.beforeTime.utf8),
            afterTime: Array("\(shape.beforeMessage)\(text)\(shape.end)".utf8))
    }
}
