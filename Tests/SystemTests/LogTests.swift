import Foundation
import Testing

extension SystemTests {
    /// What strangers write into the log.
    @Suite("Log")
    struct LogTests {
        @Test(
            "C: log and metric injection: no request makes a line of its own, or looks like another", arguments: ["text", "json"])
        func injection(_ format: String) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                var settings = try lab.settings(upstream: upstream.url)
                settings.logFormat = format
                let amargo = try await lab.amargo(settings)
                let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
                    "Programs/requests.py")
                try await Command(.python, [script.path, "\(settings.port)"]).run()
                try await eventually("the last request is in the log") { amargo.daemon.logText().contains("library/last") }
                let lines = amargo.daemon.logText().split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                #expect(lines.count > 100)
                for line in lines { try Self.judge(line, format) }
            }
        }

        private static func judge(_ line: Substring, _ format: String) throws {
            let isPlain = line.unicodeScalars.allSatisfy { scalar in
                let properties = scalar.properties
                return properties.generalCategory != .control && properties.generalCategory != .format
                    && properties.generalCategory != .lineSeparator && properties.generalCategory != .paragraphSeparator
            }
            #expect(isPlain, "\(line)")
            if format == "json" {
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
                #expect(object?["time"] != nil && object?["message"] != nil, "\(line)")
                #expect(["info", "notice", "warning"].contains(object?["level"]), "\(line)")
            } else {
                let start = #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|NOTICE|WARNING) /#
                #expect(line.prefixMatch(of: start) != nil, "\(line)")
            }
        }
    }
}
