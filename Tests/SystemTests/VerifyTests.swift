import Foundation
import Testing

extension SystemTests {
    /// `amargo verify` as scripts see it: lines and exit codes.
    @Suite("Verify")
    struct VerifyTests {
        @Test("0 when nothing is found, 2 when findings are left, 1 when all is repaired; a damaged blob is fetched anew")
        func exitCodes() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "hello", as: .oci, randomLayers: 1, layerSize: 4 << 20)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let repository = "\(amargo.url)/v2/library/nginx"
                for url in ["\(repository)/manifests/alpine"] + image.blobs.map({ "\(repository)/blobs/\($0.digest)" }) {
                    try await eventually("HIT for \(url)") { try await Curl.get(url).headers["x-amargo-cache"] == "HIT" }
                }

                // Beside the server.
                let beside = try await Self.verify(amargo)
                #expect(beside.exit == .code(0), "\(beside.text) \(beside.errorText)")
                #expect(beside.text.hasPrefix("Verified \(image.blobs.count + 1) blobs, "), "\(beside.text)")
                #expect(beside.text.hasSuffix(": nothing found"))
                #expect(beside.errorText == "", "progress is for terminals")
                // By way of the server, which holds the store.
                let repairing = try await Self.verify(amargo, "--repair")
                #expect(repairing.exit == .code(0), "\(repairing.text) \(repairing.errorText)")
                #expect(repairing.text.hasSuffix(": nothing found"))
                #expect(await amargo.terminate() == .code(0))
                #expect(try await Self.verify(amargo).exit == .code(0))

                let layer = try #require(image.blobs.map(\.digest).max { try Self.size($0, amargo) < Self.size($1, amargo) })
                let file = Self.file(layer, amargo)
                let handle = try FileHandle(forUpdating: file)
                try handle.seek(toOffset: 1_000_000)
                try handle.write(contentsOf: Data(repeating: 0x55, count: 16))
                try handle.close()
                let found = try await Self.verify(amargo)
                #expect(found.exit == .code(2))
                #expect(
                    found.text.contains(
                        "damaged blob \(layer) (docker.io/library/nginx): goes to quarantine, fetched again when asked for\n"))
                #expect(FileManager.default.fileExists(atPath: file.path))
                #expect(try await Self.verify(amargo, "--quick").exit == .code(0))
                #expect(try await Self.verify(amargo, "--sample", "100%").exit == .code(2))

                let json = try await Self.verify(amargo, "--format", "json")
                #expect(json.exit == .code(2))
                let lines = try json.text.split(separator: "\n").map {
                    try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
                }
                #expect(lines.first?["kind"] as? String == "damaged-blob")
                #expect(lines.last?["verdict"] as? String == "findings-left")

                #expect(try await Self.verify(amargo, "--repair").exit == .code(1))
                #expect(try await Self.verify(amargo).exit == .code(0))
                #expect(!FileManager.default.fileExists(atPath: file.path))

                try await amargo.start()
                let again = try await Curl.get("\(repository)/blobs/\(layer)")
                #expect(again.status == 200)
                try await eventually("it is stored again") { FileManager.default.fileExists(atPath: file.path) }
                await amargo.kill()
                #expect(try await Self.verify(amargo).exit == .code(0), "a crash leaves no finding")
            }
        }

        @Test("no store, wrong usage and a wrong configuration each have a sentence and a code")
        func refusals() async throws {
            try await Lab.run { lab in
                let nowhere = lab.folder.appendingPathComponent("nowhere").path
                let missing = try await Self.run("verify", "--store", nowhere)
                #expect(missing.exit == .code(2))
                #expect(missing.errorText.contains(nowhere) && missing.errorText.split(separator: "\n").count == 1)
                #expect(try await Self.run("verify", "--store", nowhere, "--repair").exit == .code(2))
                #expect(!FileManager.default.fileExists(atPath: nowhere))
                for arguments in [["--sample", "0"], ["--sample", "5%", "--quick"], ["--seed", "1"], ["--format", "xml"]] {
                    #expect(try await Self.run("verify", arguments).exit == .code(64), "\(arguments)")
                }
                #expect(try await Self.run("verify", "--config", "\(nowhere).yaml").exit == .code(78))
            }
        }

        private static func file(_ digest: String, _ amargo: AmargoProcess) -> URL {
            let hex = String(digest.dropFirst("sha256:".count))
            return amargo.settings.store.appendingPathComponent("blobs/sha256/\(hex.prefix(2))/\(hex)")
        }

        private static func size(_ digest: String, _ amargo: AmargoProcess) throws -> Int {
            try Self.file(digest, amargo).resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        }

        private static func verify(_ amargo: AmargoProcess, _ arguments: String...) async throws -> Command.Result {
            try await Self.run("verify", ["--config", amargo.configuration.path] + arguments)
        }

        private static func run(_ command: String, _ arguments: String...) async throws -> Command.Result {
            try await Self.run(command, arguments)
        }

        private static func run(_ command: String, _ arguments: [String]) async throws -> Command.Result {
            try await Command(try AmargoProcess.binary(), [command] + arguments).outcome()
        }
    }
}
