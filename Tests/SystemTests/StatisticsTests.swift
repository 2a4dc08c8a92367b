import Foundation
import Testing

extension SystemTests {
    /// `stats` and `top` beside a running server, after its end, and after its kill.
    @Suite("Statistics")
    struct StatisticsTests {
        private static func amargo(_ arguments: [String], _ amargo: AmargoProcess) async throws -> Command.Result {
            try await Command(try AmargoProcess.binary(), arguments + ["--config", amargo.configuration.path]).outcome()
        }

        /// The row of all together, in all.
        private static func total(_ amargo: AmargoProcess) async throws -> [String: Int] {
            let result = try await Self.amargo(["stats", "--format", "json", "--window", "all"], amargo)
            #expect(result.exit == .code(0), "\(result.errorText)")
            let line = try #require(result.text.split(separator: "\n").first { $0.contains(#""upstream":null"#) })
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return try #require(object).compactMapValues { $0 as? Int }
        }

        /// As du says it of the only image.
        private static func pulls(_ amargo: AmargoProcess) async throws -> Int? {
            let result = try await Self.amargo(["du", "--format", "json"], amargo)
            #expect(result.exit == .code(0), "\(result.errorText)")
            let line = try #require(result.text.split(separator: "\n").first)
            return (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["pulls"] as? Int
        }

        @Test("two pulls of an image by skopeo: numbers beside the server, after its end, and after a new beginning")
        func restart() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "counted", as: .oci, randomLayers: 2, layerSize: 200_000)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let skopeo = try await ImageClient(.skopeo, amargo: amargo, in: lab)
                for _ in 0..<2 {
                    #expect(try await skopeo.pull("docker.io/library/one:v1").succeeded)
                    try await skopeo.removeImages()
                }
                let bytes = image.root.size + image.blobs.reduce(0) { $0 + $1.size }
                let seen = try await Self.total(amargo)
                #expect(seen["pulls"] == 2)
                #expect(seen["misses"] == 1 + image.blobs.count)
                #expect(seen["bytesServed"] == 2 * bytes)
                #expect(seen["bytesFetched"] == bytes)
                #expect(seen["bytesSaved"] == bytes)
                let usage = try await Self.amargo(["du", "--format", "json", "one:v1"], amargo)
                #expect(usage.text.contains(#""pulls":2"#), "\(usage.text)")
                let table = try await Self.amargo(["stats"], amargo)
                #expect(table.text.contains("docker.io/library/one"), "\(table.text)")
                let once = try await Self.amargo(["top", "--once", "--interval", "0.2"], amargo)
                #expect(once.exit == .code(0), "\(once.errorText)")
                #expect(once.text.contains("hour   2 pulls"), "\(once.text)")
                #expect(await amargo.terminate() == .code(0))
                #expect(try await Self.total(amargo) == seen)
                // It has names of private repositories, as the journal has.
                let file = amargo.settings.store.appendingPathComponent("statistics.json").path
                #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
                // Each manifest's pulls are in the journal.
                let journal = try String(
                    contentsOf: amargo.settings.store.appendingPathComponent("journal.jsonl"), encoding: .utf8)
                let use = try #require(journal.split(separator: "\n").last { $0.contains(#""op":"use""#) })
                #expect(use.contains(image.root.digest) && use.contains(#","n":2,"#), "\(use)")
                let nobody = try await Self.amargo(["top"], amargo)
                #expect(nobody.exit == .code(1))
                #expect(nobody.errorText.contains("start one with amargo serve"), "\(nobody.errorText)")
                try await amargo.start()
                #expect(try await skopeo.pull("docker.io/library/one:v1").succeeded)
                #expect(try await Self.total(amargo)["pulls"] == 3)
                // du counts what was sent a moment ago, and a kill takes nothing of what it has said.
                #expect(try await Self.pulls(amargo) == 3)
                await amargo.kill()
                #expect(try await Self.pulls(amargo) == 3)
            }
        }

        @Test("statistics that are damaged are put aside, and serving goes on")
        func damaged() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                #expect(await amargo.terminate() == .code(0))
                let file = amargo.settings.store.appendingPathComponent("statistics.json")
                try Data("{\"format\":1,\"series\":[{".utf8).write(to: file)
                let offline = try await Self.amargo(["stats"], amargo)
                #expect(offline.exit == .code(1))
                #expect(offline.errorText.contains("statistics.json cannot be read"), "\(offline.errorText)")
                try await amargo.start()
                #expect(amargo.daemon.logText().contains("statistics.json.bad"))
                #expect(try await Self.total(amargo)["pulls"] == 0)
                let verified = try await Self.amargo(["verify"], amargo)
                #expect(verified.exit == .code(0), "\(verified.text)")
            }
        }

        @Test("top shows a download while it runs, in place on a terminal")
        func top() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "slow", as: .oci, randomLayers: 1, layerSize: 4 << 20)
                try await upstream.push(image, as: "library/slow", tag: "v1")
                let line = try await lab.throttle(upstream, bytesPerSecond: 300_000)
                let amargo = try await lab.amargo(upstream: line.url)
                let layer = try #require(image.blobs.max { $0.size < $1.size })
                let client = Daemon(
                    "client", try Program.curl.url(),
                    ["--silent", "--output", "/dev/null", "\(amargo.url)/v2/library/slow/blobs/\(layer.digest)"],
                    log: lab.folder.appendingPathComponent("client.log"))
                let screen = lab.folder.appendingPathComponent("screen.txt")
                let terminal = Daemon(
                    "terminal", try Program(name: "script", package: "bsdutils").url(),
                    [
                        "--quiet", "--flush", "--command",
                        "stty cols 160 rows 40; \(try AmargoProcess.binary().path) top --interval 0.2 --config \(amargo.configuration.path)",
                        screen.path,
                    ], environment: ["TERM": "xterm", "LC_ALL": "C.UTF-8"], log: lab.folder.appendingPathComponent("script.log"))
                try await lab.start(client) { true }
                try await lab.start(terminal) {
                    guard let text = try? String(contentsOf: screen, encoding: .utf8) else { return false }
                    return text.contains("docker.io/library/slow") && text.contains("4.1 MB") && text.contains("kB/s")
                        && text.contains("█")
                }
                // In place: the next picture begins with going up.
                #expect(try String(contentsOf: screen, encoding: .utf8).contains("\u{1B}["))
            }
        }
    }
}
