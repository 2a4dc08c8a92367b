import Archive
import Glibc
import Logging
import Maintenance
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
    /// How each registry is asked, by its name in the configuration.
    let upstreams: [String: UpstreamConfiguration]
    /// The configuration file, for people.
    let file: String?
    let logger: Logger
    let hitLog: any HitLog
    /// Log lines that nobody read in time.
    var droppedLogLines: @Sendable () -> Int64 = { 0 }
    /// Whether no registry is ever asked.
    var isOffline = false

    /// - Parameter sockets: bound already.
    func run(on sockets: [ListeningSocket]) async throws {
        signal(SIGPIPE, SIG_IGN)
        FreeMemory.keepSome()
        let budget = DescriptorBudget(total: DescriptorBudget.raiseLimit())
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        // Hashing takes all the time it gets, and an answer that waits for a processor meanwhile is a late one.
        let pools = StorePools(niceness: 5)
        pools.start()
        do {
            try await self.serve(on: sockets, group: group, pools: pools, budget: budget)
        } catch {
            await Self.shutdown(group, pools)
            throw error
        }
        await Self.shutdown(group, pools)
    }

    private func serve(
        on sockets: [ListeningSocket], group: MultiThreadedEventLoopGroup, pools: StorePools, budget: DescriptorBudget
    ) async throws {
        let wallClock: @Sendable () -> Int64 = { Int64(time(nil)) }
        let store = try await HandOver(path: self.settings.storePath, logger: self.logger).open {
            try ContentStore.open(
                self.settings.storeConfiguration, role: "serve", pools: pools, loop: group.next(), openFiles: budget.openBlobs,
                logger: self.logger, now: wallClock)
        }
        let upstreams = UpstreamBindings(
            self.settings, self.upstreams, group: group, connections: budget.upstreamConnections, isOffline: self.isOffline,
            logger: self.logger)
        let downloads = DownloadService()
        let traffic = TrafficLedger()
        let keeper = TrafficKeeper(traffic, store: store, logger: self.logger, now: wallClock)
        try await store.run { TrafficKeeper.restore(traffic, from: store, logger: self.logger) }
        let cache = PullThroughCache(
            store: store, directory: upstreams.directory, service: downloads, logger: self.logger, traffic: traffic,
            now: wallClock)
        let commands = StoreAdministration(
            store: store, role: "serve", version: UserAgent.version, warmer: ImageWarmer(cache), serving: cache)
        let administration = AdminServer(commands, group: group, logger: self.logger)
        let watches = try self.settings.watchedFolder.map { folder in
            [ImportWatch(folder, commands, ImportOptions(naming: try self.settings.bundleNaming()), logger: self.logger)]
        }
        var registry = RegistryConfiguration(version: UserAgent.version)
        registry.operations = self.settings.operations
        registry.limits = budget.serverLimits
        registry.hostNames = self.settings.listen.map { String($0.prefix { $0 != ":" }) }
        registry.engines = EngineGuide(self.settings, listeningOn: sockets.map(\.address))
        let scrub = Scrub(store: store, logger: self.logger)
        var instruments = Instruments()
        instruments.scrub = { scrub.report }
        instruments.droppedLogLines = self.droppedLogLines
        let server = RegistryServer(
            sockets: sockets, cache: cache, configuration: registry, group: group, instruments: instruments, hitLog: self.hitLog,
            logger: self.logger)
        self.announce(store, upstreams.fallback, sockets.map(\.address))
        if !budget.isComplete {
            self.logger.warning(
                "Few descriptors are allowed (RLIMIT_NOFILE): only \(budget.clients) connections are served at a time")
        }

        // Shut down from the last to the first: answers end before downloads, downloads before the store.
        var group = ServiceGroupConfiguration(
            services: [StoreUpkeep(store: store), scrub, keeper, administration]
                + (watches ?? []) + [
                    downloads, ImpatientStop(server: server), server,
                ],
            gracefulShutdownSignals: [.sigterm, .sigint, .sighup],
            cancellationSignals: [.sigquit], logger: self.logger)
        group.maximumGracefulShutdownDuration = registry.drainTimeout + .seconds(15)
        let result: Result<Void, any Error>
        do {
            result = .success(try await ServiceGroup(configuration: group).run())
        } catch {
            result = .failure(error)
        }
        await keeper.finish()
        await store.close()
        await upstreams.shutdown()
        self.logger.notice("Amargo has stopped")
        try result.get()
    }

    private static func shutdown(_ group: MultiThreadedEventLoopGroup, _ pools: StorePools) async {
        await pools.shutdown()
        // The error says that it was shut down already, which is what is wanted.
        try? await group.shutdownGracefully()
    }

    private func announce(_ store: ContentStore, _ fallback: UpstreamBinding?, _ addresses: [String]) {
        let total = store.catalog.total
        self.logger.notice(
            "Amargo \(UserAgent.version) serves on \(addresses.map { "http://\($0)" }.joined(separator: ", "))")
        self.logger.notice("Configuration: \(self.file ?? "none, built-in defaults")")
        self.logger.notice(
            "Store: \(self.settings.storePath) (\(total.blobs) blobs, \(Quantity.describe(bytes: total.bytes)))")
        if self.isOffline { self.logger.notice("Offline: no registry is asked, and what is stored is served as it is") }
        for repository in self.settings.repositories {
            let isFallback = fallback?.name == repository.name
            let places = (repository.connection.mirrors + [repository.upstream]).map(\.description).joined(separator: ", then ")
            self.logger.notice(
                "[\(repository.name)] Mirrors \(repository.namespaces[0]) from \(places)\(isFallback ? " (default)" : "")"
            )
        }
    }
}
