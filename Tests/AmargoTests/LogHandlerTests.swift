import Foundation
import Logging
import TestSupport
import Testing

@testable import amargo

/// One event is one line, whatever somebody has put into it.
@Suite struct LogHandlerTests {
    private static let canary =
        "x\n2026-11-24T00:00:00.000Z ERROR canary\r\u{1B}[2K\u{0}\u{85}\u{2028}{\"level\":\"error\",\"message\":\"canary\"}"
    /// Unicode's Bidi_Control, and what cannot be seen at all.
    private static let invisible: [Unicode.Scalar] = [
        "\u{61C}", "\u{200B}", "\u{200C}", "\u{200D}", "\u{200E}", "\u{200F}", "\u{202A}", "\u{202B}", "\u{202C}", "\u{202D}",
        "\u{202E}", "\u{2060}",
        "\u{2066}", "\u{2067}", "\u{2068}", "\u{2069}", "\u{FEFF}",
    ]

    /// What is written for a message and a fact.
    private func lines(_ format: Settings.LogFormat, _ message: String, _ fact: String) async throws -> String {
        let folder = try TemporaryDirectory()
        let path = folder.path("log")
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let file = try #require(FileHandle(forWritingAtPath: path))
        let writer = LogWriter(descriptor: file.fileDescriptor)
        let logger = Logger(label: "test") { _ in AmargoLogHandler(level: .info, format: format, writer: writer) }
        logger.info("\(message)", metadata: ["fact": "\(fact)"])
        await writer.close()
        try file.close()
        return try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test("C: log and metric injection: a text line stays one line, without control characters and marks of direction")
    func text() async throws {
        let hostile = Self.canary + String(String.UnicodeScalarView(Self.invisible))
        for (message, fact) in [(hostile, "a"), ("a", hostile), ("a", String(String.UnicodeScalarView(Self.invisible)))] {
            let log = try await self.lines(.text, message, fact)
            #expect(log.unicodeScalars.filter { $0 == "\n" }.count == 1)
            #expect(log.hasSuffix("\n"))
            for scalar in log.unicodeScalars.dropLast() {
                #expect(scalar.properties.generalCategory != .control && !Self.invisible.contains(scalar) && scalar != "\u{2028}")
            }
        }
    }

    @Test("C: log and metric injection: a line of JSON is one object with its own level")
    func json() async throws {
        let log = try await self.lines(.json, Self.canary, Self.canary)
        #expect(log.unicodeScalars.filter { $0 == "\n" }.count == 1)
        #expect(log.utf8.dropLast().allSatisfy { (0x20..<0x7F).contains($0) })
        let object = try #require(try JSONSerialization.jsonObject(with: Data(log.utf8)) as? [String: String])
        #expect(object["level"] == "info")
        #expect(object["message"] == Self.canary)
        #expect(object["fact"] == Self.canary)
        #expect(Set(object.keys) == ["time", "level", "message", "fact"])
    }

    @Test(
        "a line that was made ready is the line that the logger writes, with its own time",
        arguments: [Settings.LogFormat.text, .json])
    func ready(_ format: Settings.LogFormat) async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("log")
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let file = try #require(FileHandle(forWritingAtPath: path))
        let writer = LogWriter(descriptor: file.fileDescriptor)
        let handler = AmargoLogHandler(level: .info, format: format, writer: writer)
        let start = Date()
        for message in ["[docker] Cache HIT: manifest library/nginx:latest", Self.canary] {
            Logger(label: "test") { _ in handler }.info("\(message)")
            try #require(handler.line(message)).write()
        }
        #expect(AmargoLogHandler(level: .notice, format: format, writer: writer).line("x") == nil)
        await writer.close()
        try file.close()
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 4)
        let times = try lines.map { line in
            let text = try #require(line.firstMatch(of: /[0-9]{4}-[0-9-]{5}T[0-9:]{8}\.[0-9]{3}Z/)).output
            return (text, try Date(String(text), strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
        }
        let rests = zip(lines, times).map { $0.replacing($1.0, with: "TIME") }
        #expect(rests[0] == rests[1])
        #expect(rests[2] == rests[3])
        for (_, time) in times { #expect((-0.001...60).contains(time.timeIntervalSince(start))) }
    }

    @Test("lines that nobody reads in time are dropped, and all of those are counted")
    func dropped() async throws {
        let pipe = Pipe()
        let writer = LogWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor)
        let count = 20_000
        // The pipe takes 64 KiB, what waits is 8,192 lines: most of it twice, when a batch is being written.
        let rest = " line \(String(repeating: "x", count: 80))\n"
        for _ in 0..<count { writer.write("before ".utf8, rest.utf8) }
        #expect(writer.droppedCount >= Int64(count - 2 * 8_192 - 1_000))
        async let reading = onThread { try pipe.fileHandleForReading.readToEnd() ?? Data() }
        await writer.close()
        let dropped = writer.droppedCount
        try pipe.fileHandleForWriting.close()
        let lines = String(decoding: try await reading, as: UTF8.self).split(separator: "\n")
        let said = lines.compactMap { $0.firstMatch(of: /^… ([0-9]+) log lines were dropped/).flatMap { Int64($0.1) } }
        #expect(said.reduce(0, +) == dropped)
        #expect(Int64(lines.count - said.count) + dropped == Int64(count))
    }

    @Test("a level that changes is in force for all loggers that were made, except for one with its own")
    func level() {
        let level = LogLevel(.info)
        let handler = AmargoLogHandler(level: level, format: .text, writer: LogWriter())
        let logger = Logger(label: "test") { _ in handler }
        var own = logger
        own.logLevel = .error
        for wanted in Logger.Level.allCases {
            level.level = wanted
            #expect(level.level == wanted)
            #expect(logger.logLevel == wanted)
            #expect(own.logLevel == .error)
            #expect((handler.line("x") != nil) == (wanted <= .info))
        }
    }
}
