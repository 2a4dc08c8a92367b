import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import ServiceLifecycle
import Storage
import Synchronization
import TestSupport

@testable import Maintenance

/// A store with an image in it, to be damaged and verified.
final class StoreLab: Sendable {
    struct Content: Sendable {
        let digest: Digest
        let bytes: [UInt8]
        let facts: ManifestFacts?

        init(_ bytes: [UInt8], facts: ManifestFacts? = nil) throws {
            self.bytes = bytes
            self.digest = try Digest(parsing: "sha256:\(sha256Hex(bytes))")
            self.facts = facts
        }

        /// Below the store's folder.
        var path: String { "blobs/sha256/\(self.digest.hex.prefix(2))/\(self.digest.hex)" }
    }

    /// What a verification told.
    struct Report: Sendable {
        let outcome: VerificationOutcome
        let findings: [Finding]
        let resolutions: [Resolution]
        let events: [VerificationEvent]

        var kinds: [Finding.Kind] { self.findings.filter { $0.weight == .finding }.map(\.kind) }
        var notes: [Finding.Kind] { self.findings.filter { $0.weight == .note }.map(\.kind) }
        /// As the command prints them.
        var lines: [String] { self.findings.map { "\($0.sentence): \($0.remedy)" } }
    }

    let folder: TemporaryDirectory
    let repository: QualifiedRepository
    let config: Content
    let layer: Content
    let manifest: Content
    private let clock = ManualWallClock()
    private let pools = StorePools(reading: 1, writing: 2)
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// More than a piece, and more than what is hashed before it is sent.
    private static let layerBytes = Fixtures.pseudoRandomBytes(count: 1_300_001, seed: 7)

    static let layout = "repositories/docker.io/library/nginx/_oci"

    private init() throws {
        self.folder = try TemporaryDirectory()
        self.repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
        self.config = try Content(Array("{\"os\":\"linux\"}".utf8))
        self.layer = try Content(Self.layerBytes)
        let bytes = Fixtures.imageManifest(
            config: .init(
                mediaType: ManifestFlavour.oci.configType, digest: "\(self.config.digest)", size: self.config.bytes.count),
            layers: [
                .init(mediaType: ManifestFlavour.oci.layerType, digest: "\(self.layer.digest)", size: self.layer.bytes.count)
            ])
        let facts = ManifestFacts(
            mediaType: .ociManifest,
            children: [
                Edge(role: .config, digest: self.config.digest, size: Int64(self.config.bytes.count)),
                Edge(role: .layer, digest: self.layer.digest, size: Int64(self.layer.bytes.count)),
            ], subject: nil)
        self.manifest = try Content(bytes, facts: facts)
        self.pools.start()
    }

    /// Runs `body` with a store that holds one image, `nginx:latest`, and was closed properly.
    static func run(_ body: (StoreLab) async throws -> Void) async throws {
        let lab = try StoreLab()
        do {
            try await lab.withStore { store in
                for content in [lab.config, lab.layer, lab.manifest] { try await lab.put(content, into: store) }
                store.setTag(try Tag(parsing: "latest"), in: lab.repository, to: lab.manifest.digest)
            }
            try await body(lab)
        } catch {
            await lab.end()
            throw error
        }
        await lab.end()
    }

    private func end() async {
        await self.pools.shutdown()
        try? await self.group.shutdownGracefully()  // best effort: the test has its result
    }

    func path(_ relative: String) -> String { self.folder.path("store", relative) }

    func path(_ content: Content) -> String { self.path(content.path) }

    var contents: [Content] { [self.config, self.layer, self.manifest] }

    func open(role: String = "serve") async throws -> ContentStore {
        let configuration = StoreConfiguration(folder: self.folder.path("store"), maxSize: 0, minFree: 0, shares: [:])
        return try await onThread {
            try ContentStore.open(
                configuration, role: role, pools: self.pools, loop: self.group.next(), openFiles: 64,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, now: self.clock.read)
        }
    }

    @discardableResult
    func withStore<T>(_ body: (ContentStore) async throws -> T) async throws -> T {
        let store = try await self.open()
        do {
            let result = try await body(store)
            await store.close()
            return result
        } catch {
            await store.close()
            throw error
        }
    }

    /// Runs `body` with a store that does what it does while it is served.
    func serving(_ body: @escaping @Sendable (ContentStore) async throws -> Void) async throws {
        try await self.withStore { store in
            let services = ServiceGroup(
                configuration: .init(
                    services: [StoreUpkeep(store: store)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
            var outcome = Result<Void, any Error>.success(())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                do {
                    try await body(store)
                } catch {
                    outcome = .failure(error)
                }
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
            try outcome.get()
        }
    }

    /// Stores content as a download does.
    func put(_ content: Content, into store: ContentStore, in repository: QualifiedRepository? = nil) async throws {
        try await onThread {
            var writer = try store.makeWriter(for: content.digest)
            try content.bytes.withUnsafeBytes { try writer.append($0) }
            try store.publish(writer, facts: content.facts, in: repository ?? self.repository)
        }
    }

    // MARK: - Verifying

    /// Verifies as `amargo verify` does: by reading alone.
    func verify(_ change: (inout VerificationOptions) -> Void = { _ in }) async throws -> Report {
        let reader = try await onThread { try StoreReader(folder: self.folder.path("store")) }
        var options = VerificationOptions()
        change(&options)
        return try await Self.collect { try await StoreVerification(reading: reader).run(options, report: $0) }
    }

    /// Verifies as `amargo verify --repair` does: in a store opened for it.
    func repair(_ change: (inout VerificationOptions) -> Void = { _ in }) async throws -> Report {
        let reader = try await onThread { try StoreReader(folder: self.folder.path("store")) }
        var options = VerificationOptions()
        options.purpose = .repair
        change(&options)
        return try await self.withStore { store in
            try await Self.collect { try await StoreVerification(of: store, before: reader, .idle).run(options, report: $0) }
        }
    }

    static func collect(
        _ run: (@escaping @Sendable (VerificationEvent) -> Void) async throws -> VerificationOutcome
    ) async throws -> Report {
        let events = Mutex<[VerificationEvent]>([])
        let outcome = try await run { event in events.withLock { $0.append(event) } }
        let all = events.withLock { $0 }
        var findings: [Finding] = []
        var resolutions: [Resolution] = []
        for case .finding(let finding, let resolution) in all {
            findings.append(finding)
            resolutions.append(resolution)
        }
        return Report(outcome: outcome, findings: findings, resolutions: resolutions, events: all)
    }

    // MARK: - Damaging

    /// Changes bytes of a file behind everybody's back; time and size stay.
    static func flip(_ path: String, at offset: Int) throws {
        let before = try Disk.status(path)
        let descriptor = Glibc.open(path, O_RDWR)
        guard descriptor >= 0 else { throw TestSupportError(.system, "cannot open \(path)") }
        defer { close(descriptor) }
        var byte: UInt8 = 0
        guard pread(descriptor, &byte, 1, off_t(offset)) == 1 else { throw TestSupportError(.system, "cannot read \(path)") }
        byte ^= 0x10
        guard pwrite(descriptor, &byte, 1, off_t(offset)) == 1 else { throw TestSupportError(.system, "cannot write \(path)") }
        let times = [before.st_atim, before.st_mtim]
        guard futimens(descriptor, times) == 0 else { throw TestSupportError(.system, "cannot set the time of \(path)") }
    }

    static func cut(_ path: String, to size: Int) throws {
        guard truncate(path, off_t(size)) == 0 else { throw TestSupportError(.system, "cannot cut \(path)") }
    }

    /// Replaces a part by a hole, which reads as zeros.
    static func punch(_ path: String, _ range: Range<Int>) throws {
        let descriptor = Glibc.open(path, O_RDWR)
        guard descriptor >= 0 else { throw TestSupportError(.system, "cannot open \(path)") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: range.count)
        guard pwrite(descriptor, zeros, zeros.count, off_t(range.lowerBound)) == zeros.count else {
            throw TestSupportError(.system, "cannot write \(path)")
        }
    }
}
