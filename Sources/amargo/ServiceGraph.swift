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
    /// Of all loggers.
    let level: LogLevel
    let hitLog: any HitLog
    /// Log lines that nobody read in time.
    var droppedLogLines: @Sendable () -> Int64 = { 0 }
    /// Whether no registry is ever asked.
    var isOffline = false
    let supervisor: Supervisor
    /// What a reload reads files and variables with.
    let environment: [String: String]
    /// Reads the settings again, as they were read at the start.
    let load: @Sendable () throws -> (settings: Settings, file: String?)

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
        // From now on SIGHUP ends nothing; one that comes before there is anything to reload waits.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let wallClock: @Sendable () -> Int64 = { Int64(time(nil)) }
        let store = try await self.openStore(group.next(), pools, budget, now: wallClock)
        let asking = UpstreamBindings.Asking(
            group: group, connections: budget.upstreamConnections, isOffline: self.isOffline, logger: self.logger)
        let upstreams = ConfiguredUpstreams(
            UpstreamBindings(self.settings, self.upstreams, asking), logger: self.logger)
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
        let report = SupervisorReport(
            self.supervisor, store: store, addresses: sockets.map(\.address), isOffline: self.isOffline)
        let server = RegistryServer(
            sockets: sockets, cache: cache, configuration: registry, group: group, instruments: instruments, hitLog: self.hitLog,
            logger: self.logger, whenListening: { await report.ready() })
        let reload = ConfigurationReload(
            hangups, self.settings,
            .init(
                upstreams: upstreams, cache: cache, server: server, watches: watches ?? [], report: report,
                supervisor: self.supervisor, level: self.level, asking: asking),
            environment: self.environment, logger: self.logger, load: self.load)
        self.announce(store, upstreams.fallback, sockets.map(\.address))
        if !budget.isComplete {
            self.logger.warning(
                "Few descriptors are allowed (RLIMIT_NOFILE): only \(budget.clients) connections are served at a time")
        }

        // Shut down from the last to the first: answers end before downloads, downloads before the store.
        var services: [any Service] = self.watchdog(group, pools)
        services += [upstreams, StoreUpkeep(store: store), scrub, keeper, administration]
        services += watches ?? []
        services += [downloads, ImpatientStop(server: server), server, reload, report]
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], cancellationSignals: [.sigquit],
            logger: self.logger)
        configuration.maximumGracefulShutdownDuration = registry.drainTimeout + .seconds(15)
        let result: Result<Void, any Error>
        do {
            result = .success(try await ServiceGroup(configuration: configuration).run())
        } catch {
            result = .failure(error)
        }
        await keeper.finish()
        await store.close()
        await upstreams.shutdown()
        self.logger.notice("Amargo has stopped")
        try result.get()
    }

    /// Opens the store, however long its journal is and whoever has to give it back first.
    private func openStore(
        _ loop: any EventLoop, _ pools: StorePools, _ budget: DescriptorBudget, now: @escaping @Sendable () -> Int64
    ) async throws -> ContentStore {
        let supervisor = self.supervisor
        return try await supervisor.extendingStart {
            await supervisor.status("Opening the store \(self.settings.storePath)")
            return try await HandOver(path: self.settings.storePath, logger: self.logger).open { holder in
                await supervisor.status("Waiting for \(holder) to give the store \(self.settings.storePath) back")
            } _: {
                try ContentStore.open(
                    self.settings.storeConfiguration, role: "serve", pools: pools, loop: loop, openFiles: budget.openBlobs,
                    logger: self.logger, now: now)
            }
        }
    }

    private func watchdog(_ group: MultiThreadedEventLoopGroup, _ pools: StorePools) -> [any Service] {
        guard let limit = self.supervisor.watchdog else { return [] }
        let supervisor = self.supervisor
        var probes: [any ProgressProbe] = group.makeIterator().map { LoopProbe($0) }
        probes += [
            PoolProbe(pools.reading, "reading"), PoolProbe(pools.writing, "writing"), PoolProbe(pools.journaling, "the journal"),
        ]
        return [
            Watchdog(
                interval: limit / 2, probes: probes, clock: ContinuousClock(), logger: self.logger,
                ping: { await supervisor.ping() })
        ]
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
