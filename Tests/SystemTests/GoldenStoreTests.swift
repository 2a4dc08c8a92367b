import Foundation
import Testing

extension SystemTests {
    /// P20: the store of every release is read by every later one. Made by `Tests/Tools/make-golden-store.py`.
    @Suite("Golden stores")
    struct GoldenStoreTests {
        private static let images = ["torture/r0:t0", "torture/r0:t2", "torture/r1:t1", "torture/r1:t3"]

        @Test("a store of an earlier release is whole: verified, listed, served without its registry", arguments: ["store-1"])
        func opens(_ name: String) async throws {
            try await Lab.run { lab in
                let archive = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                    .appendingPathComponent("Golden/\(name).tar.gz")
                try await Command(.tar, ["--no-same-owner", "-xzf", archive.path, "-C", lab.folder.path]).run()
                let settings = try lab.settings(upstream: "http://127.0.0.1:9")
                let amargo = try await lab.amargo(settings)
                let base = "\(amargo.url)/v2"
                for image in Self.images {
                    let parts = image.split(separator: ":")
                    let manifest = try await Curl.get("\(base)/\(parts[0])/manifests/\(parts[1])")
                    #expect(manifest.status == 200, "\(image)")
                    // Whatever digests a manifest names are there, with what is below them.
                    for digest in Self.digests(in: manifest.body) {
                        let blob = try await Curl.get("\(base)/\(parts[0])/blobs/\(digest)")
                        let child = try await Curl.get("\(base)/\(parts[0])/manifests/\(digest)")
                        #expect(blob.status == 200 || child.status == 200, "\(digest) of \(image)")
                        for digest in child.status == 200 ? Self.digests(in: child.body) : [] {
                            #expect(try await Curl.get("\(base)/\(parts[0])/blobs/\(digest)").status == 200)
                        }
                    }
                }
                #expect(await amargo.terminate() == .code(0))
                func run(_ arguments: [String]) async throws -> Command.Result {
                    try await Command(try AmargoProcess.binary(), arguments + ["--config", amargo.configuration.path]).outcome()
                }
                let verified = try await run(["verify"])
                #expect(verified.exit == .code(0))
                #expect(verified.text.hasSuffix(": nothing found"), "\(verified.text)")
                let lines = try await run(["ls", "--format", "json"]).text.split(separator: "\n").map {
                    try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
                }
                #expect(Set(lines.compactMap { $0["image"] as? String }) == Set(Self.images.map { "docker.io/\($0)" }))
                #expect(try await run(["rm", "torture/r0:t0"]).errorText.contains("pinned"))
            }
        }

        private static func digests(in manifest: Data) -> [String] {
            let text = String(decoding: manifest, as: UTF8.self)
            return text.matches(of: #/"(sha256:[0-9a-f]{64})"/#).map { String($0.output.1) }
        }
    }
}
