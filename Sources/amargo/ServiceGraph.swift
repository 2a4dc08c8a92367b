import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import PullThrough
import Registry
import ServiceLifecycle
import Storage
import UnixSignals
import Upstream

/// Wires a server together, runs it, and takes it apart in the right order.
struct ServiceGraph {
    let settings: Settings
    /// The configuration file, for people.
    let file: String?
    let logger: Logger

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        // Addresses first: a busy one must not leave a new store behind.
        let sockets = try self.settings.listen.map { try ListeningSocket(binding: $0) }
        let openFiles = Self.raiseDescriptorLimit()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let pools = StorePools()
        pools.start()
        do {
            try await self.serve(on: sockets, group: group, pools: pools, openFiles: openFiles)
        } catch {
            await Self.shutdown(group, pools)
            throw error
        }
        await Self.shutdown(group, pools)
    }

    private func serve(
        on sockets: [ListeningSocket], group: MultiThreadedEventLoopGroup, pools: StorePools, openFiles: Int
    ) async throws {
        let wallClock: @Sendable () -> Int64 = { Int64(time(nil)) }
        let store = try ContentStore.open(
            self.storeConfiguration, role: "serve", pools: pools, loop: group.next(), openFiles: openFiles, logger: self.logger,
            now: wallClock)
        let bindings = self.settings.repositories.map { self.binding($0, group: group) }
        let fallback = self.settings.repositories.first(where: \.isDefault).flatMap { chosen in
            bindings.first { $0.name == chosen.name }
        }
        let downloads = DownloadService()
        let cache = PullThroughCache(
            store: store, directory: UpstreamDirectory(bindings: bindings, fallback: fallback), service: downloads,
            logger: self.logger, now: wallClock)
        var registry = RegistryConfiguration(version: UserAgent.version)
        registry.operations = self.settings.operations
        let server = RegistryServer(sockets: sockets, cache: cache, configuration: registry, group: group, logger: self.logger)
        self.announce(store, fallback, sockets.map(\.address))

        // Shut down from the last to the first: answers end before downloads, downloads before the store.
        var group = ServiceGroupConfiguration(
            services: [StoreUpkeep(store: store), downloads, ImpatientStop(server: server), server],
            gracefulShutdownSignals: [.sigterm, .sigint, .sighup],
            cancellationSignals: [.sigquit], logger: self.logger)
        group.maximumGracefulShutdownDuration = registry.drainTimeout + .seconds(15)
        let result: Result<Void, any Error>
        do {
            result = .success(try await ServiceGroup(configuration: group).run())
        } catch {
            result = .failure(error)
        }
        await store.close()
        for binding in bindings { await binding.client.shutdown() }
        self.logger.notice("Amargo has stopped")
        try result.get()
    }

    private static func shutdown(_ group: MultiThreadedEventLoopGroup, _ pools: StorePools) async {
        await pools.shutdown()
        // The error says that it was shut down already, which is what is wanted.
        try? await group.shutdownGracefully()
    }

    private var storeConfiguration: StoreConfiguration {
        var shares: [Namespace: Int64] = [:]
        for repository in self.settings.repositories where repository.maxSize > 0 {
            shares[repository.namespaces[0]] = repository.maxSize
        }
        return StoreConfiguration(
            folder: self.settings.storePath, maxSize: self.settings.maxSize, minFree: self.settings.minFree,
            shares: shares)
    }

    private func binding(_ repository: Settings.Repository, group: any EventLoopGroup) -> UpstreamBinding {
        let configuration = UpstreamConfiguration(name: repository.name, address: repository.upstream)
        return UpstreamBinding(
            name: repository.name, namespaces: repository.namespaces, cacheTtl: .seconds(repository.cacheTtl),
            client: RegistryClient(configuration, group: group, logger: self.logger))
    }

    private func announce(_ store: ContentStore, _ fallback: UpstreamBinding?, _ addresses: [String]) {
        let total = store.catalog.total
        self.logger.notice(
            "Amargo \(UserAgent.version) serves on \(addresses.map { "http://\($0)" }.joined(separator: ", "))")
        self.logger.notice("Configuration: \(self.file ?? "none, built-in defaults")")
        self.logger.notice(
            "Store: \(self.settings.storePath) (\(total.blobs) blobs, \(Quantity.describe(bytes: total.bytes)))")
        for repository in self.settings.repositories {
            let isFallback = fallback?.name == repository.name
            self.logger.notice(
                "[\(repository.name)] Mirrors \(repository.namespaces[0]) from \(repository.upstream)\(isFallback ? " (default)" : "")"
            )
        }
    }

    /// Takes all the descriptors that this process may have; returns how many of them stored blobs may keep open.
    private static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 64 }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = min(limit.rlim_max, 1 << 16)
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return max(16, min(4096, Int(min(limit.rlim_cur, 1 << 20)) / 4))
    }
}
