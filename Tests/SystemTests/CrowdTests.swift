import Foundation
import Testing

extension SystemTests {
    /// Clients that behave, among those that do not.
    @Suite("Crowd")
    struct CrowdTests {
        /// What crowd.py prints.
        private struct Outcome: Decodable {
            /// Of the bodies that good clients got.
            let digests: [String]
            let halves: Int
            /// Slow readers that were still being served at the end, and those among them with other bytes than the blob's.
            let readers: Int
            let wrongReaders: Int
            let resets: Int
        }

        @Test(
            "P8: beside 200 slow readers, 1,000 half-sent requests and 200 resets, 8 good clients get every byte, in less than 200 MiB"
        )
        func crowd() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let digest = try await upstream.addSparseBlob(size: 32 << 20, to: "library/big")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
                    "Programs/crowd.py")
                let path = "/v2/library/big/blobs/\(digest)"
                let result = try await Command(.python, [script.path, "\(amargo.settings.port)", path, "20261124"]).run()
                let outcome = try JSONDecoder().decode(Outcome.self, from: result.output)

                #expect(outcome.digests == [String](repeating: String(digest.dropFirst("sha256:".count)), count: 16))
                #expect(outcome.halves == 1_000)
                #expect(outcome.readers == 200)
                #expect(outcome.wrongReaders == 0)
                #expect(outcome.resets == 200)
                #expect(upstream.requests("GET \(path) ") == 1)
                #expect(try await amargo.peakMemory() < 200 << 20)
                // Nobody of them is left behind.
                let pid = try #require(await amargo.daemon.pid)
                try await eventually("their descriptors are given back", within: .seconds(30)) {
                    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count < 100
                }
            }
        }
    }
}
