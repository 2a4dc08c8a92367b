import Archive
import OCI
import TestSupport
import Testing

/// Whether a bundle is worth carrying.
@Suite("Verifying bundles")
struct BundleVerificationTests {
    private static func verify(_ paths: [String], in folder: TemporaryDirectory) async throws -> BundleVerification.Result {
        try await onThread {
            let bundle = try #require(try BundlePaths.open(paths).first)
            return try BundleVerification(spool: TemporarySpool(folder: folder.path)) { _ in }
                .run(bundle.input, opener: bundle, naming: try ImportLab.naming())
        }
    }

    @Test("a good bundle has no findings, as an archive, packed, and as a folder")
    func good() async throws {
        let folder = try TemporaryDirectory()
        let layout = LayoutText.simple()
        try Disk.write(layout.archive, to: folder.path("tar"))
        try Disk.write(GzipText.stored(layout.archive), to: folder.path("gz"))
        try layout.write(toFolder: folder.path("folder"))
        for name in ["tar", "gz", "folder"] {
            let result = try await Self.verify([folder.path(name)], in: folder)
            #expect(result.findings == [])
            #expect(result.blobs == 4)
            #expect(result.images.map(\.title) == ["docker.io/library/app:1"])
        }
    }

    @Test("a flipped bit is found wherever it is, and whose it is", arguments: [0, 500, 1999])
    func damage(_ place: Int) async throws {
        let folder = try TemporaryDirectory()
        var layout = LayoutText()
        let image = layout.addImage(seed: 1)
        layout.name(image.manifest, "docker.io/library/app", "1")
        var bytes = Fixtures.pseudoRandomBytes(count: 2000, seed: 100)
        bytes[place] ^= 0x10
        layout.replace(image.layers[0], with: bytes)
        try Disk.write(layout.archive, to: folder.path("tar"))
        let result = try await Self.verify([folder.path("tar")], in: folder)
        #expect(result.findings == ["\(image.layers[0]) is damaged: its bytes are others; docker.io/library/app:1 needs it"])
    }

    @Test("a gap is a finding; in a delta it is what the other side has")
    func gaps() async throws {
        let folder = try TemporaryDirectory()
        var layout = LayoutText()
        let image = layout.addImage(seed: 1)
        layout.name(image.manifest, "docker.io/library/app", "1")
        layout.remove(image.layers[0])
        try Disk.write(layout.archive, to: folder.path("tar"))
        let result = try await Self.verify([folder.path("tar")], in: folder)
        #expect(result.findings == ["docker.io/library/app:1 is incomplete: the bundle lacks \(image.layers[0])"])
        layout.annotations = [("dev.amargo.delta", String(repeating: "ab", count: 32))]
        try Disk.write(layout.archive, to: folder.path("delta"))
        let delta = try await Self.verify([folder.path("delta")], in: folder)
        #expect(delta.findings == [])
        #expect(delta.notes.first?.contains(image.layers[0]) == true)
    }

    @Test("a damaged part of a split bundle is named")
    func parts() async throws {
        let folder = try TemporaryDirectory()
        let bytes = LayoutText.simple().archive
        var second = Array(bytes[30_000...])
        try Disk.write(Array(bytes[..<30_000]), to: folder.path("b.001"))
        let list = "\(sha256Hex(Array(bytes[..<30_000])))  b.001\n\(sha256Hex(second))  b.002\n"
        try Disk.write(Array(list.utf8), to: folder.path("b.sha256"))
        try Disk.write(second, to: folder.path("b.002"))
        #expect(try await Self.verify([folder.path("b.sha256")], in: folder).findings == [])
        second[10_000] ^= 1
        try Disk.write(second, to: folder.path("b.002"))
        let findings = try await Self.verify([folder.path("b.sha256")], in: folder).findings
        #expect(findings.first?.hasPrefix("\(folder.path("b.002")) is damaged") == true)
    }
}
