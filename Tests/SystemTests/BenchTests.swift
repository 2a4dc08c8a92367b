import Foundation
import Testing

extension SystemTests {
    /// Whether `scripts/bench` still measures; what it measures is for a quiet machine to say.
    @Suite("Bench")
    struct BenchTests {
        private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()

        @Test("cheap rows are measured, and all their numbers are in the JSON file")
        func rows() async throws {
            let work = try TemporaryDirectory()
            defer { work.remove() }
            var command = Command(
                Self.root.appendingPathComponent("scripts/bench"),
                [
                    "--quick", "--rows", "^(first-byte|requests-blob)$", "--binary", try AmargoProcess.binary().path,
                    "--out", work.url.path, "--dir", work.url.path,
                ])
            command.limit = .seconds(120)
            let result = try await command.outcome()
            #expect(result.exit == .code(0), "\(result.text.suffix(3_000))\n\(result.errorText)")
            #expect(result.text.contains("| stored blob 2 KiB, 32 connections | requests/s |"))

            let files = try FileManager.default.contentsOfDirectory(at: work.url, includingPropertiesForKeys: nil)
            let file = try #require(files.first { $0.pathExtension == "json" }, "\(files)")
            let found = try JSONDecoder().decode(Document.self, from: Data(contentsOf: file))
            #expect(found.rows.map(\.name) == ["requests-blob", "first-byte"])
            for row in found.rows {
                #expect(row.error == nil)
                #expect(row.values["amargo"]?.isEmpty == false)
                #expect(row.values["amargo"]?.values.allSatisfy { $0.count == 1 } == true)
            }
            // Nothing is left behind but the two files.
            #expect(Set(files.map(\.pathExtension)) == ["json", "md"])
        }

        @Test("it computes what it says")
        func figures() async throws {
            let test = Self.root.appendingPathComponent("Tests/Bench/bench_test.py").path
            var command = Command(URL(fileURLWithPath: "/usr/bin/env"), ["python3", test])
            command.environment = ["PYTHONDONTWRITEBYTECODE": "1"]
            let result = try await command.outcome()
            #expect(result.exit == .code(0), "\(result.errorText)")
        }

        private struct Document: Decodable {
            struct Row: Decodable {
                let name: String
                let error: String?
                let values: [String: [String: [Double]]]
            }

            let rows: [Row]
        }
    }
}
