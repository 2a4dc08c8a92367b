import Foundation
import Testing

extension SystemTests {
    /// A short round of each of `scripts/torture`, with the binary under test; docs/RELIABILITY.md has the long ones.
    @Suite("Torture")
    struct TortureTests {
        @Test(
            "nothing wrong is served, nothing is lost, and the store is whole afterwards",
            arguments: [
                ("kill", 20), ("faults", 6), ("power", 20), ("writeback", 1), ("full", 4), ("evict", 200),
                ("import", 8),
            ])
        func torture(_ mode: String, _ rounds: Int) async throws {
            let work = try TemporaryDirectory()
            defer { work.remove() }
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            var command = Command(
                root.appendingPathComponent("scripts/torture"),
                [
                    mode, "--rounds", "\(rounds)", "--seed", "20261124", "--amargo", try AmargoProcess.binary().path, "--work",
                    work.url.path,
                ])
            command.limit = .seconds(420)
            let result = try await command.outcome()
            // 77: this host cannot do it, and the summary says why.
            #expect(result.exit == .code(0) || result.exit == .code(77), "\(result.text.suffix(3_000))\n\(result.errorText)")
            let summary = result.text.split(separator: "\n").last.map(String.init) ?? ""
            #expect(summary.hasPrefix("torture \(mode): "), "\(summary)")
            print(summary)
        }
    }
}
