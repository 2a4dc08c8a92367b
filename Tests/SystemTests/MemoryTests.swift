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

        @Test("a bundle of a gigabyte is exported and imported in less than 64 MiB of resident memory")
        func largeBundle() async throws {
            try await Lab.run { lab in
                let layout = try await Self.largeLayout(in: try lab.newFolder("layout"))
                let bundle = "\(lab.folder.path)/bundle.tar"
                let (near, far) = ("\(lab.folder.path)/near", "\(lab.folder.path)/far")
                for arguments in [
                    ["import", "--link", layout.path, "--store", near], ["export", "big:1", "-o", bundle, "--store", near],
                    ["verify", bundle], ["import", bundle, "--store", far],
                ] {
                    let peak = try await Self.peak(arguments)
                    #expect(peak < 64 << 20, "\(arguments[0]): \(peak >> 20) MiB")
                }
                // Beside a server it is the server that imports.
                let server = try await lab.amargo(upstream: "http://127.0.0.1:9")
                try await Command(
                    try AmargoProcess.binary(), ["import", bundle, "--config", server.configuration.path]
                ).run()
                #expect(try await server.peakMemory() < 64 << 20)
                let has = try await Command(try AmargoProcess.binary(), ["has", "big:1", "--store", far]).outcome()
                #expect(has.succeeded, "\(has.text)")
            }
        }

        /// The most memory a command has had resident.
        private static func peak(_ arguments: [String]) async throws -> Int {
            let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Programs/peak.py")
            var command = try Command(.python, [program.path, try AmargoProcess.binary().path] + arguments)
            command.limit = .seconds(600)
            let result = try await command.run()
            return try #require(result.errorText.split(separator: "\n").last.flatMap { Int($0) }) << 10
        }

        /// 10 GiB with `AMARGO_LONG_TESTS=1`, which takes three times that on the disk.
        private static let bundleSize = (SystemTests.isLong ? 10 : 1) << 30

        /// An image of one sparse layer, as a folder.
        private static func largeLayout(in folder: URL) async throws -> URL {
            let blobs = folder.appendingPathComponent("blobs/sha256")
            try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
            func add(_ content: String, size: Int? = nil) async throws -> String {
                let file = folder.appendingPathComponent("new")
                try Data(content.utf8).write(to: file)
                if let size { #expect(truncate(file.path, size) == 0) }
                let digest = try await FixtureImages.digest(of: file)
                try FileManager.default.moveItem(at: file, to: blobs.appendingPathComponent(String(digest.dropFirst(7))))
                return digest
            }
            let layer = try await add("a layer", size: Self.bundleSize)
            let configText = #"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["\#(layer)"]}}"#
            let config = try await add(configText)
            let type = "application/vnd.oci.image"
            let manifestText = """
                {"schemaVersion":2,"mediaType":"\(type).manifest.v1+json",\
                "config":{"mediaType":"\(type).config.v1+json","digest":"\(config)","size":\(configText.utf8.count)},\
                "layers":[{"mediaType":"\(type).layer.v1.tar","digest":"\(layer)","size":\(Self.bundleSize)}]}
                """
            let manifest = try await add(manifestText)
            let index = """
                {"schemaVersion":2,"manifests":[{"mediaType":"\(type).manifest.v1+json","digest":"\(manifest)",\
                "size":\(manifestText.utf8.count),\
                "annotations":{"org.opencontainers.image.ref.name":"docker.io/library/big:1"}}]}
                """
            try Data(index.utf8).write(to: folder.appendingPathComponent("index.json"))
            try Data(#"{"imageLayoutVersion":"1.0.0"}"#.utf8).write(to: folder.appendingPathComponent("oci-layout"))
            return folder
        }
    }
}
