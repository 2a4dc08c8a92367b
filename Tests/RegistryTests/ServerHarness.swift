import Foundation
import Logging
import NIOPosix
import OCI
import PullThrough
import Registry
import ServiceLifecycle
import Storage
import SystemPackage
import TestSupport
import Testing
import Upstream

/// A whole server in this process, between a scripted upstream and raw clients, on loopback.
struct ServerHarness: Sendable {
    struct Options: Sendable {
        var maxSize: Int64 = 0
        var cacheTtl = Duration.seconds(1800)
        var namespaces = ["docker.io", "index.docker.io", "registry-1.docker.io"]
        var drainTimeout = Duration.seconds(10)
        var storePath: String?
        var absenceLifetime = Duration.zero
        /// Long by default: on a busy machine two seconds are nothing, and STALE is not what most tests are about.
        var patience = Duration.seconds(60)
        var limits = ServerLimits()
        var stalePolicy = StalePolicy()
        var finishAbandoned = true
        var isPrivate = false
        var isOffline = false
        var caution = UpstreamCaution()
        /// Takes the log, instead of nobody.
        var log: LogRecorder?
        var hitLog: (any HitLog)?
        var tune: @Sendable (inout UpstreamConfiguration) -> Void = { _ in }
    }

    let port: Int
    let store: ContentStore
    let cache: PullThroughCache
    let storePath: String
    let wallClock: ManualWallClock
    private let stop: @Sendable () async -> Void

    /// Asks the server to stop, as SIGTERM does.
    func beginStopping() async { await self.stop() }

    /// Runs a server while `body` runs, and ends it properly.
    static func run(
        _ upstream: ScriptedUpstream, _ options: Options = Options(),
        _ body: @Sendable (ServerHarness) async throws -> Void
    ) async throws {
        let folder = try TemporaryDirectory()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let pools = StorePools()
        pools.start()
        let logger = options.log?.logger ?? Self.logger()
        let clock = ManualWallClock()
        let path = options.storePath ?? folder.path("store")
        let socket = try ListeningSocket(binding: "127.0.0.1:0")
        let store = try ContentStore.open(
            StoreConfiguration(path: FilePath(path), maxSize: options.maxSize, minFree: 0), role: "serve", pools: pools,
            loop: group.next(), openFiles: 64, logger: logger, now: clock.read)
        guard let address = UpstreamAddress(upstream.url) else { throw HarnessError() }
        var configuration = UpstreamConfiguration(name: "docker", address: address)
        // On a busy machine a few seconds are nothing; tests of patience say how long theirs is.
        configuration.headTimeout = .seconds(60)
        configuration.budget = .seconds(60)
        options.tune(&configuration)
        let client = RegistryClient(configuration, group: group, logger: logger)
        let binding = UpstreamBinding(
            name: "docker", namespaces: try options.namespaces.map { try Namespace(parsing: $0) }, cacheTtl: options.cacheTtl,
            client: client, stalePolicy: options.stalePolicy, finishAbandoned: options.finishAbandoned,
            isPrivate: options.isPrivate, isOffline: options.isOffline, caution: options.caution)
        let downloads = DownloadService()
        let cache = PullThroughCache(
            store: store, directory: UpstreamDirectory(bindings: [binding], fallback: binding), service: downloads,
            logger: logger, absenceLifetime: options.absenceLifetime,
            freshness: FreshnessPolicy(patience: options.patience), now: clock.read)
        var registry = RegistryConfiguration(version: "test")
        registry.drainTimeout = options.drainTimeout
        registry.limits = options.limits
        let port = socket.port
        let server = RegistryServer(
            sockets: [socket], cache: cache, configuration: registry, group: group, hitLog: options.hitLog, logger: logger)
        let services = ServiceGroup(
            configuration: .init(services: [StoreUpkeep(store: store), downloads, server], logger: logger))
        let harness = ServerHarness(
            port: port, store: store, cache: cache, storePath: path, wallClock: clock,
            stop: { await services.triggerGracefulShutdown() })
        var outcome = Result<Void, any Error>.success(())
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await services.run() }
                do {
                    try await body(harness)
                } catch {
                    outcome = .failure(error)
                }
                await services.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        } catch {
            outcome = .failure(error)
        }
        await store.close()
        await client.shutdown()
        await pools.shutdown()
        try await group.shutdownGracefully()
        withExtendedLifetime(folder) {}
        try outcome.get()
    }

    /// Silent, unless AMARGO_TEST_LOG is set: then everything goes to standard error.
    private static func logger() -> Logger {
        guard ProcessInfo.processInfo.environment["AMARGO_TEST_LOG"] != nil else {
            return Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        }
        var logger = Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .debug
        return logger
    }

    // MARK: - Asking

    func get(
        _ path: String, headers: [(String, String)] = [], method: String = "GET", discardBody: Bool = false
    ) async throws -> RawResponse {
        try await RawHTTPClient.get(
            port: self.port, path: path, headers: headers, method: method, discardBody: discardBody)
    }

    func blob(
        _ digest: String, in repository: String = "library/nginx", headers: [(String, String)] = []
    ) async throws -> RawResponse {
        try await self.get("/v2/\(repository)/blobs/\(digest)", headers: headers)
    }

    // MARK: - Looking

    /// Waits until content is stored under its name and in the catalog.
    func waitUntilStored(_ digest: String) async throws {
        let digest = try Digest(parsing: digest)
        try await eventually("\(digest) is stored") { self.store.catalog.content(digest) != nil }
    }

    /// Pulls an image by its tag and waits until all of it is stored, its name too.
    func warm(_ image: FixtureImage) async throws {
        #expect(try await self.get(image.manifestPath).status == 200)
        for blob in image.blobs { #expect(try await self.get(image.blobPath(blob.digest)).body == blob.bytes) }
        for digest in [image.manifestDigest] + image.blobs.map(\.digest) { try await self.waitUntilStored(digest) }
        if let tag = image.tag { try await self.waitUntilTagged(tag, in: image.repository) }
    }

    /// Waits until tags are stored: each follows its manifest.
    func waitUntilTagged(_ tags: String..., in name: String = "library/nginx") async throws {
        let repository = try QualifiedRepository(parsing: "docker.io/\(name)")
        for tag in tags {
            try await eventually("the tag \(tag) is stored") {
                self.store.catalog.tag(try OCI.Tag(parsing: tag), in: repository) != nil
            }
        }
    }

    func isStored(_ digest: String) throws -> Bool {
        let digest = try Digest(parsing: digest)
        let hex = digest.hex
        let file = "\(self.storePath)/blobs/\(digest.algorithm.rawValue)/\(hex.prefix(2))/\(hex)"
        return self.store.catalog.content(digest) != nil || FileManager.default.fileExists(atPath: file)
    }

    func spoolEntries() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: "\(self.storePath)/spool") }

    /// The store's own oracle: no download runs and the spool is empty.
    func expectQuiet() async throws {
        try await eventually("no download is left") { self.cache.downloads.count == 0 }
        try await eventually("the spool is empty") { try self.spoolEntries().isEmpty }
    }
}

struct HarnessError: Error {}
