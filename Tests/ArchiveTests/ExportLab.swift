import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import Synchronization
import TestSupport

@testable import Archive
@testable import Storage

/// A store to be filled with images, and a folder for what is exported of it.
final class ExportLab: Sendable {
    struct Content: Sendable {
        let digest: Digest
        let bytes: [UInt8]
        let mediaType: MediaType?

        init(_ bytes: [UInt8], _ mediaType: MediaType? = nil, _ algorithm: Digest.Algorithm = .sha256) throws {
            self.bytes = bytes
            self.mediaType = mediaType
            self.digest = try Digest(
                parsing: algorithm == .sha256 ? "sha256:\(sha256Hex(bytes))" : "sha512:\(sha512Hex(bytes))")
        }

        /// Below the store's folder.
        var path: String { "blobs/\(self.digest.algorithm.rawValue)/\(self.digest.hex.prefix(2))/\(self.digest.hex)" }
        var member: String { "blobs/\(self.digest.algorithm.rawValue)/\(self.digest.hex)" }

        func descriptor(_ type: String? = nil) -> String {
            "\"mediaType\":\"\(type ?? self.mediaType?.description ?? "application/octet-stream")\",\"digest\":\"\(self.digest)\","
                + "\"size\":\(self.bytes.count)"
        }
    }

    /// A manifest with its config and layers.
    struct Image: Sendable {
        let manifest: Content
        let config: Content
        let layers: [Content]

        var all: [Content] { [self.manifest, self.config] + self.layers }
    }

    let folder: TemporaryDirectory
    let nginx: QualifiedRepository
    let store: ContentStore
    private let clock: ManualWallClock
    private let pools: StorePools
    private let group: MultiThreadedEventLoopGroup

    private init(
        _ folder: TemporaryDirectory, _ store: ContentStore, _ clock: ManualWallClock, _ pools: StorePools,
        _ group: MultiThreadedEventLoopGroup
    ) throws {
        self.folder = folder
        self.nginx = try QualifiedRepository(parsing: "docker.io/library/nginx")
        self.store = store
        self.clock = clock
        self.pools = pools
        self.group = group
    }

    /// Runs `body` with an empty store, which is open as a server has it.
    static func run(_ body: (ExportLab) async throws -> Void) async throws {
        let folder = try TemporaryDirectory()
        let pools = StorePools(reading: 1, writing: 2)
        pools.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let clock = ManualWallClock()
        let configuration = StoreConfiguration(folder: folder.path("store"), maxSize: 0, minFree: 0, shares: [:])
        var outcome = Result<Void, any Error>.success(())
        do {
            let store = try await onThread {
                try ContentStore.open(
                    configuration, role: "serve", pools: pools, loop: group.next(), openFiles: 64,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, now: clock.read)
            }
            do {
                try Disk.makeFolder(folder.path("out"))
                try await body(try ExportLab(folder, store, clock, pools, group))
            } catch {
                outcome = .failure(error)
            }
            await store.close()
        } catch {
            outcome = .failure(error)
        }
        await pools.shutdown()
        try? await group.shutdownGracefully()  // best effort: the test has its result
        try outcome.get()
    }

    func path(_ content: Content) -> String { self.folder.path("store", content.path) }

    /// A place for a bundle.
    func out(_ name: String) -> String { self.folder.path("out", name) }

    // MARK: - Filling

    /// Stores content as a download does; a manifest with what it says, or with `facts`.
    func put(_ content: Content, in repository: QualifiedRepository? = nil, facts: ManifestFacts? = nil) async throws {
        let known =
            try facts
            ?? content.mediaType.map { type in
                ManifestFacts(try content.bytes.withUnsafeBytes { bytes in try Manifest(parsing: bytes, as: type) })
            }
        try await onThread {
            var writer = try self.store.makeWriter(for: content.digest)
            try content.bytes.withUnsafeBytes { try writer.append($0) }
            try self.store.publish(writer, facts: known, in: repository ?? self.nginx)
        }
    }

    func tag(_ tag: String, _ content: Content, in repository: QualifiedRepository? = nil) throws {
        self.store.setTag(try Tag(parsing: tag), in: repository ?? self.nginx, to: content.digest)
    }

    static func image(
        _ seed: UInt64, platform: String = "linux/amd64", layers sizes: [Int] = [5000, 300], flavour: ManifestFlavour = .oci,
        subject: Content? = nil
    ) throws -> Image {
        let layers = try sizes.enumerated().map { index, size in
            try Content(Fixtures.pseudoRandomBytes(count: size, seed: seed * 100 + UInt64(index)))
        }
        let list = layers.map { Fixtures.Descriptor(mediaType: flavour.layerType, digest: "\($0.digest)", size: $0.bytes.count) }
        let config = try Content(Fixtures.imageConfig(layers: list, platform: platform, note: "seed \(seed)"))
        var bytes = Fixtures.imageManifest(
            config: .init(mediaType: flavour.configType, digest: "\(config.digest)", size: config.bytes.count), layers: list,
            flavour: flavour)
        if let subject { bytes = bytes.dropLast() + Array(",\"subject\":{\(subject.descriptor())}}".utf8) }
        let type = try MediaType(parsing: flavour.manifestType)
        return Image(manifest: try Content(bytes, type), config: config, layers: layers)
    }

    static func index(_ children: [(content: Content, rest: String)], flavour: ManifestFlavour = .oci) throws -> Content {
        let list = children.map { "{\($0.content.descriptor())\($0.rest)}" }.joined(separator: ",")
        let text = "{\"schemaVersion\":2,\"mediaType\":\"\(flavour.indexType)\",\"manifests\":[\(list)]}"
        return try Content(Array(text.utf8), try MediaType(parsing: flavour.indexType))
    }

    static func platform(_ os: String, _ architecture: String) -> String {
        ",\"platform\":{\"architecture\":\"\(architecture)\",\"os\":\"\(os)\"}"
    }

    static func attestation(of subject: Content) -> String {
        ",\"annotations\":{\"vnd.docker.reference.digest\":\"\(subject.digest)\",\"vnd.docker.reference.type\":\"attestation-manifest\"},"
            + "\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"}"
    }

    func put(_ image: Image, in repository: QualifiedRepository? = nil, without missing: [Content] = []) async throws {
        for content in image.layers + [image.config, image.manifest]
        where !missing.contains(where: { $0.digest == content.digest }) {
            try await self.put(content, in: repository)
        }
    }

    // MARK: - Exporting

    func request(_ names: String...) throws -> ExportRequest {
        ExportRequest(
            .images(
                try names.map { name in
                    let image = try ImageReference(parsing: name)
                    guard let namespace = image.namespace, let reference = image.reference else {
                        throw TestSupportError(.system, "\(name) is no full name")
                    }
                    return .init(repository: QualifiedRepository(namespace: namespace, name: image.name), reference: reference)
                }))
    }

    @discardableResult
    func export(
        _ request: ExportRequest, to output: String, split: Int64? = nil, options: ImageExporter.Options = .init(),
        progress: ExportProgress = ExportProgress(), note: @escaping @Sendable (ExportPlan) throws -> Void = { _ in }
    ) async throws -> ImageExporter.Outcome {
        // Whoever reads the store reads the journal.
        try await self.store.journal.append([])
        return try await onThread {
            let reader = try StoreReader(folder: self.folder.path("store"))
            let failure = Mutex<(any Error)?>(nil)
            let target = try BundleTarget(output, partSize: split)
            let outcome = try ImageExporter(request, to: target, options, progress).export(from: reader) { plan in
                do { try note(plan) } catch { failure.withLock { $0 = error } }
            }
            if let error = failure.withLock({ $0 }) { throw error }
            return outcome
        }
    }

    /// The index of a bundle's folder, or of its tar as GNU tar has it.
    static func index(of path: String) throws -> BundleIndex {
        var status = stat()
        let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        let bytes = isFolder ? try Disk.read("\(path)/index.json") : try Self.tar("-xOf", path, "index.json")
        return try bytes.withUnsafeBytes { bytes in try BundleIndex(parsing: bytes) }
    }

    /// The members of a tar by their names, as GNU tar has them.
    static func members(of path: String) throws -> [String] {
        String(decoding: try Self.tar("-tf", path), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    static func tar(_ arguments: String...) throws -> [UInt8] {
        let (status, output) = try ShellCommand.run(["env", "LC_ALL=C", "TZ=UTC", "tar"] + arguments)
        guard status == 0 else { throw TestSupportError(.system, "tar \(arguments) ended with \(status)") }
        return output
    }
}
