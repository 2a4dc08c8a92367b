import Maintenance
import NIOCore
import OCI
import PullThrough
import Storage
import Synchronization

/// Makes the documents that the dashboard's page shows. It only reads, on the store's pool, and never slows an answer with content.
final class Dashboard: Sendable {
    /// How long a large value is kept that nobody looks at any more.
    private static let memory = Duration.seconds(60)

    private let cache: PullThroughCache
    private let engines: Mutex<DashboardDocument>
    private let live: Snapshot<DashboardDocument>
    private let traffic: Snapshot<TrafficReport>
    private let usage: Snapshot<UsageSnapshot>
    private let images: Snapshot<ImageTable>
    private let platforms: ConfigPlatforms
    private let isForgetting = Atomic(false)

    init(cache: PullThroughCache, configuration: RegistryConfiguration) {
        self.cache = cache
        self.engines = Mutex(DashboardDocument((configuration.engines ?? EngineGuide()).json))
        self.platforms = ConfigPlatforms(cache.store)
        let startedAt = cache.wallClock
        let traffic = Snapshot(lifetime: .milliseconds(900)) { cache.traffic.report(at: cache.wallClock) }
        self.traffic = traffic
        self.live = Snapshot(lifetime: .milliseconds(900)) {
            let live = LiveDocument(cache: cache, version: configuration.version, startedAt: startedAt)
            return DashboardDocument(live.json(cache.traffic.report(at: cache.wallClock)), isVolatile: true)
        }
        self.usage = Snapshot(lifetime: .seconds(2)) { UsageSnapshot(cache.store.catalog) }
        self.images = Snapshot(lifetime: .seconds(2)) { ImageTable(ImageListing(cache.store.catalog), cache.directory) }
    }

    /// Tells something else of engines from now on.
    func use(_ engines: EngineGuide) {
        let document = DashboardDocument(engines.json)
        self.engines.withLock { $0 = document }
    }

    /// Calls back from the pool.
    func document(
        for request: DashboardRequest, on loop: any EventLoop, then completion: @escaping @Sendable (DashboardDocument) -> Void
    ) {
        self.cache.store.submit {
            switch request {
            case .page, .engines: completion(self.engines.withLock { $0 })
            case .live: self.live.value(completion)
            case .traffic(let window): self.traffic.value { completion(DashboardDocument(TrafficDocument(window).json($0))) }
            case .disk(let registry, let repository):
                self.usage.value { completion(DashboardDocument(DiskDocument(usage: $0).json(registry, repository))) }
            case .images(let query): self.images.value { completion(DashboardDocument($0.json(query, self.platforms))) }
            }
        }
        self.forgetLater(on: loop)
    }

    /// A listing of a large store is some hundred megabytes, which nobody needs when the last page is closed.
    private func forgetLater(on loop: any EventLoop) {
        guard !self.isForgetting.exchange(true, ordering: .relaxed) else { return }
        loop.scheduleTask(in: TimeAmount(Self.memory)) { [weak self] in
            guard let self else { return }
            self.isForgetting.store(false, ordering: .relaxed)
            let hasUsage = self.usage.forget(unusedFor: Self.memory)
            let hasImages = self.images.forget(unusedFor: Self.memory)
            if hasUsage || hasImages { self.forgetLater(on: loop) }
        }
    }
}

/// An answer, ready to be sent.
struct DashboardDocument: Sendable {
    let body: ByteBuffer
    /// An entity tag; nil for what is another one each time.
    let tag: String?

    init(_ json: String, isVolatile: Bool = false) {
        var json = json
        self.tag = isVolatile ? nil : json.withUTF8 { "\"\(Digest(.sha256, of: UnsafeRawBufferPointer($0)).hex.prefix(32))\"" }
        self.body = ByteBuffer(string: json)
    }
}
