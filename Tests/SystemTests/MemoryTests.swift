import Foundation
import Testing

extension SystemTests {
    /// No blob is ever whole in memory.
    @Suite("Memory")
    struct MemoryTests {
        /// 3 GiB with `AMARGO_LONG_TESTS=1`.
        private static let size = (SystemTests.isLong ? 3 : 1) << 30

        @Test("a blob of gigabytes passes in less than 128 MiB of resident memory, cold and from the store")
        func largeBlob() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let digest = try await upstream.addSparseBlob(size: Self.size, to: "library/big")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let url = "\(amargo.url)/v2/library/big/blobs/\(digest)"

                #expect(try await "sha256:\(Curl.sha256(of: url))" == digest)
                try await eventually("the blob is stored", within: .seconds(120)) {
                    try await Curl.head(url).headers["x-amargo-cache"] == "HIT"
                }
                #expect(try await "sha256:\(Curl.sha256(of: url))" == digest)

                #expect(upstream.requests("GET /v2/library/big/blobs/\(digest) ") == 1)
                #expect(try await amargo.peakMemory() < 128 << 20)
            }
        }
    }
}
