import Foundation

/// Builds images without a network: busybox is what runs in them.
struct FixtureImages: Sendable {
    enum Format: Sendable {
        case docker
        case oci

        var manifest: String {
            switch self {
            case .docker: "application/vnd.docker.distribution.manifest.v2+json"
            case .oci: "application/vnd.oci.image.manifest.v1+json"
            }
        }

        var index: String {
            switch self {
            case .docker: "application/vnd.docker.distribution.manifest.list.v2+json"
            case .oci: "application/vnd.oci.image.index.v1+json"
            }
        }

        var config: String {
            switch self {
            case .docker: "application/vnd.docker.container.image.v1+json"
            case .oci: "application/vnd.oci.image.config.v1+json"
            }
        }

        var layer: String {
            switch self {
            case .docker: "application/vnd.docker.image.rootfs.diff.tar.gzip"
            case .oci: "application/vnd.oci.image.layer.v1.tar+gzip"
            }
        }
    }

    private struct ImageConfig: Encodable {
        struct Run: Encodable {
            let Cmd: [String]
        }

        struct RootFS: Encodable {
            let type = "layers"
            let diff_ids: [String]
        }

        let os: String
        let architecture: String
        let config: Run
        let rootfs: RootFS
    }

    private struct Manifest: Encodable {
        let schemaVersion = 2
        let mediaType: String
        let config: FixtureImage.Descriptor
        let layers: [FixtureImage.Descriptor]
    }

    private struct Index: Encodable {
        let schemaVersion = 2
        let mediaType: String
        let manifests: [FixtureImage.Descriptor]
    }

    private struct Layer {
        let descriptor: FixtureImage.Descriptor
        let diffID: String
    }

    private let folder: URL

    /// The platform of this machine, whose images run here, and the other of the two that matter.
    static let platforms: (own: FixtureImage.Platform, other: FixtureImage.Platform) = {
        let amd64 = FixtureImage.Platform(os: "linux", architecture: "amd64")
        let arm64 = FixtureImage.Platform(os: "linux", architecture: "arm64")
        #if arch(arm64)
        return (arm64, amd64)
        #else
        return (amd64, arm64)
        #endif
    }()

    init(in folder: URL) throws {
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// One platform; running it prints `line`. With `randomLayers`, that many layers of random bytes come on top.
    func image(
        printing line: String, as format: Format, randomLayers: Int = 0, layerSize: Int = 0
    ) async throws -> FixtureImage {
        var layers = [try await self.busyboxLayer(format)]
        for number in 0..<randomLayers {
            layers.append(try await self.randomLayer(number, size: layerSize, format))
        }
        let (manifest, config) = try await self.manifest(printing: line, for: Self.platforms.own, layers, format)
        return FixtureImage(
            folder: self.folder, blobs: layers.map(\.descriptor) + [config], manifests: [manifest], root: manifest)
    }

    /// An index of two platforms. Both carry this machine's busybox: only the own one is ever run.
    func index(printing line: String, as format: Format) async throws -> FixtureImage {
        let layer = try await self.busyboxLayer(format)
        var blobs = [layer.descriptor]
        var manifests: [FixtureImage.Descriptor] = []
        for platform in [Self.platforms.own, Self.platforms.other] {
            var (manifest, config) = try await self.manifest(printing: line, for: platform, [layer], format)
            manifest.platform = platform
            blobs.append(config)
            manifests.append(manifest)
        }
        let root = try await self.store(Index(mediaType: format.index, manifests: manifests), as: format.index)
        return FixtureImage(folder: self.folder, blobs: blobs, manifests: manifests + [root], root: root)
    }

    private func manifest(
        printing line: String, for platform: FixtureImage.Platform, _ layers: [Layer], _ format: Format
    ) async throws -> (manifest: FixtureImage.Descriptor, config: FixtureImage.Descriptor) {
        let image = ImageConfig(
            os: platform.os,
            architecture: platform.architecture,
            config: .init(Cmd: ["/bin/busybox", "echo", line]),
            rootfs: .init(diff_ids: layers.map(\.diffID)))
        let config = try await self.store(image, as: format.config)
        let manifest = Manifest(mediaType: format.manifest, config: config, layers: layers.map(\.descriptor))
        return (try await self.store(manifest, as: format.manifest), config)
    }

    private func busyboxLayer(_ format: Format) async throws -> Layer {
        let busybox = try Program.busybox.url()
        guard try Self.isStatic(busybox) else { throw Program.Missing(program: .busybox) }
        return try await self.layer(format) { root in
            let bin = root.appendingPathComponent("bin")
            try FileManager.default.createDirectory(at: bin, withIntermediateDirectories: false)
            try FileManager.default.copyItem(at: busybox, to: bin.appendingPathComponent("busybox"))
        }
    }

    private func randomLayer(_ number: Int, size: Int, _ format: Format) async throws -> Layer {
        let random = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom"))
        let bytes = try random.read(upToCount: size) ?? Data()
        return try await self.layer(format) { root in
            try bytes.write(to: root.appendingPathComponent("random-\(number)"))
        }
    }

    private func layer(_ format: Format, content: (URL) throws -> Void) async throws -> Layer {
        let work = try TemporaryDirectory()
        defer { work.remove() }
        let root = work.url.appendingPathComponent("root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: false)
        try content(root)
        let tar = work.url.appendingPathComponent("layer.tar")
        try await Command(
            .tar,
            ["--create", "--file", tar.path, "--directory", root.path, "--sort=name", "--mtime=@0"]
                + ["--owner=0", "--group=0", "--numeric-owner", "."]
        ).run()
        let diffID = try await Self.digest(of: tar)
        try await Command(.gzip, ["--no-name", "--fast", tar.path]).run()
        let descriptor = try await self.store(file: tar.appendingPathExtension("gz"), as: format.layer)
        return Layer(descriptor: descriptor, diffID: diffID)
    }

    private func store(_ document: some Encodable, as mediaType: String) async throws -> FixtureImage.Descriptor {
        let work = try TemporaryDirectory()
        defer { work.remove() }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let file = work.url.appendingPathComponent("document")
        try encoder.encode(document).write(to: file)
        return try await self.store(file: file, as: mediaType)
    }

    private func store(file: URL, as mediaType: String) async throws -> FixtureImage.Descriptor {
        let digest = try await Self.digest(of: file)
        let size = try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        let target = self.folder.appendingPathComponent(String(digest.dropFirst("sha256:".count)))
        if !FileManager.default.fileExists(atPath: target.path) {
            try FileManager.default.moveItem(at: file, to: target)
        }
        return FixtureImage.Descriptor(mediaType: mediaType, digest: digest, size: size)
    }

    static func digest(of file: URL) async throws -> String {
        "sha256:\(try await Command(.sha256sum, ["--binary", file.path]).run().text.prefix(64))"
    }

    /// A dynamic busybox would need a C library that the image does not hold.
    private static func isStatic(_ program: URL) throws -> Bool {
        let head = try FileHandle(forReadingFrom: program).read(upToCount: 4096) ?? Data()
        return head.range(of: Data("/ld-".utf8)) == nil
    }
}
