import Glibc
import Logging
import NIOCore
import PullThrough
import ServiceLifecycle
import Storage
import Upstream

/// What a command that holds the store needs to ask registries itself: a server's parts without its doors.
struct StandaloneAsking {
    /// Connections to one host; a command has few downloads at a time.
    private static let connections = 64

    let cache: PullThroughCache
    private let upstreams: UpstreamBindings
    private let downloads = DownloadService()
    private let store: ContentStore
    private let logger: Logger

    init(
        _ store: ContentStore, _ settings: Settings, _ prepared: [String: UpstreamConfiguration], group: any EventLoopGroup,
        logger: Logger
    ) {
        self.store = store
        self.logger = logger
        self.upstreams = UpstreamBindings(
            settings, prepared, .init(group: group, connections: Self.connections, logger: logger))
        self.cache = PullThroughCache(
            store: store, directory: self.upstreams.directory, service: self.downloads, logger: logger,
            now: { Int64(time(nil)) })
    }

    /// Does something while downloads can run and the store looks after itself; ends when that is done.
    func whileRunning(_ work: @escaping @Sendable () async -> Void) async {
        let services = ServiceGroup(
            configuration: .init(services: [StoreUpkeep(store: self.store), self.downloads], logger: self.logger))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await services.run()
                } catch {
                    self.logger.debug("The services have ended", metadata: ["error": "\(error)"])
                }
            }
            await work()
            await services.triggerGracefulShutdown()
        }
    }

    /// Closes every connection. Nothing is asked after that.
    func end() async { await self.upstreams.shutdown() }
}
