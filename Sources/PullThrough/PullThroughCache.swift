import Logging
import NIOCore
import OCI
import Storage
import Synchronization
import Upstream

/// Answers "give me this content": from the shelf, from a download already running, or by starting one.
///
/// What is stored is answered at once, on the caller's event loop, without a task. Everything else is a job of the
/// `DownloadService`, which calls back from wherever it runs.
package final class PullThroughCache: Sendable {
    package let store: ContentStore
    package let downloads = DownloadTable()
    /// How well it has served.
    package let traffic: TrafficLedger
    let service: DownloadService
    let logger: Logger
    let freshness: FreshnessPolicy
    let recentTags = RecentTags()
    let absences: NegativeAnswers
    let manifestFlights = SingleFlight<ManifestKey, ManifestContent>()
    let headFlights = SingleFlight<ManifestKey, TagVerdict>()
    let lists = ListCache()
    let listFlights = SingleFlight<ListCache.Key, (ListCache.Entry, CacheState)>()
    /// Manifests that have come and are not on the shelf yet.
    let arrivedManifests = Mutex<[ManifestKey: ManifestContent]>([:])
    /// Pulls of those, which the catalog does not know yet.
    let arrivedPulls = Mutex<[Digest: Int64]>([:])
    /// Streams for single clients, of what is not stored.
    private let relaysBegun = Atomic<Int64>(0)
    private let relaysEnded = Atomic<Int64>(0)
    private let now: @Sendable () -> Int64
    private let directoryBox: Mutex<UpstreamDirectory>

    struct ManifestKey: Hashable, Sendable {
        let repository: QualifiedRepository
        let reference: Reference
    }

    /// - Parameters:
    ///   - absenceLifetime: how long an upstream's 404 is believed.
    ///   - now: Unix seconds of the wall clock.
    package init(
        store: ContentStore, directory: UpstreamDirectory, service: DownloadService, logger: Logger,
        absenceLifetime: Duration = .seconds(10), freshness: FreshnessPolicy = FreshnessPolicy(),
        traffic: TrafficLedger = TrafficLedger(), now: @escaping @Sendable () -> Int64
    ) {
        self.store = store
        self.traffic = traffic
        self.service = service
        self.logger = logger
        self.now = now
        self.freshness = freshness
        self.absences = NegativeAnswers(lifetime: absenceLifetime)
        self.directoryBox = Mutex(directory)
        self.prepare(directory)
    }

    /// The upstreams in force. A request takes this once and keeps to it.
    package var directory: UpstreamDirectory { self.directoryBox.withLock { $0 } }

    /// Puts another configuration in force for the requests that come.
    package func use(_ directory: UpstreamDirectory) {
        self.prepare(directory)
        self.directoryBox.withLock { $0 = directory }
    }

    private func prepare(_ directory: UpstreamDirectory) {
        for binding in directory.bindings { binding.count(in: self.traffic.upstream(binding.name)) }
        self.store.keepRepositoriesApart(in: Set(directory.bindings.filter(\.isPrivate).map(\.namespace)))
    }

    func shelf(_ source: RoutedRepository) -> Shelf { Shelf(store: self.store, source: source) }

    /// Unix seconds.
    package var wallClock: Int64 { self.now() }

    func age(of entry: Catalog.TagEntry) -> Int64 { self.freshness.age(of: entry, now: self.now(), instant: .now) }

    func remainingLifetime(of entry: Catalog.TagEntry, _ source: RoutedRepository) -> Int64 {
        self.freshness.lifetime(of: entry, ttl: source.upstream.tagLifetime) - self.age(of: entry)
    }

    // MARK: - Blobs

    /// Whether stored content is a manifest, which is not to be had as a blob.
    package func isManifest(_ digest: Digest, in source: RoutedRepository) -> Bool {
        self.shelf(source).content(digest)?.manifest != nil
    }

    /// Stored content, if it may be served to this repository. Never blocks.
    package func storedBlob(_ digest: Digest, in source: RoutedRepository) -> Catalog.Content? { self.shelf(source).take(digest) }

    /// Why an upstream is not asked for content: it said a moment ago that it has none, or sends something else.
    package func refusal(of digest: Digest, in source: RoutedRepository) -> PullThroughError? {
        self.absences.error(.digest(digest), in: source.repository) ?? source.upstream.wrongContent.error(digest)
    }

    /// The download of absent content: the one that runs, or a new one. Never blocks.
    ///
    /// The caller follows it: it says `leave()` once, when it wants no more of it.
    package func download(_ digest: Digest, in source: RoutedRepository) -> (download: BlobDownload, isNew: Bool) {
        let joined = self.downloads.join(digest, in: source) { predecessor in
            BlobDownload(
                digest: digest, source: source, store: self.store, table: self.downloads, absences: self.absences,
                logger: self.logger, predecessor: predecessor)
        }
        if joined.isNew, !self.service.start({ await joined.download.run() }) { joined.download.refuse() }
        return joined
    }

    /// A stream of its own for a follower whose download cannot go on storing. Calls back from the pool; whoever takes the
    /// relay starts it, so that one that nobody takes asks nobody.
    package func relay(
        continuing download: BlobDownload, then completion: @escaping @Sendable (Result<BlobRelay, PullThroughError>) -> Void
    ) {
        self.store.submit {
            do {
                completion(.success(try BlobRelay(continuing: download, store: self.store, logger: self.logger)))
            } catch {
                completion(.failure(PullThroughError(error)))
            }
        }
    }

    package func start(_ relay: BlobRelay) {
        let isStarted = self.service.start {
            self.relaysBegun.wrappingAdd(1, ordering: .relaxed)
            await relay.run()
            self.relaysEnded.wrappingAdd(1, ordering: .relaxed)
        }
        if !isStarted { relay.cancel() }
    }

    /// Streams for single clients: all since this process began, and those that are running.
    package var relayCounts: (total: Int64, running: Int64) {
        // In this order: what ends in between is not taken for running below nothing.
        let ended = self.relaysEnded.load(ordering: .relaxed)
        let begun = self.relaysBegun.load(ordering: .relaxed)
        return (begun, max(0, begun - ended))
    }

    /// A stream of its own for a part far ahead of what has arrived. It cannot be verified: the client's own check of the
    /// whole covers it, as it covers every part.
    package func relay(
        of download: BlobDownload, from first: Int64, to end: Int64
    ) -> BlobRelay {
        BlobRelay(partOf: download, from: first, to: end, store: self.store, logger: self.logger)
    }

    package struct BlobSize: Sendable {
        /// Bytes; nil when the upstream did not say.
        package let size: Int64?
    }

    /// Asks an upstream for the size of absent content; nothing is downloaded.
    package func blobSize(
        _ digest: Digest, in source: RoutedRepository,
        then completion: @escaping @Sendable (Result<BlobSize, PullThroughError>) -> Void
    ) {
        if let error = self.refusal(of: digest, in: source) { return completion(.failure(error)) }
        self.start(completion) {
            let isHere = try await self.shelf(source).has(digest) { try await self.askForSize(digest, source) }
            if isHere { return BlobSize(size: self.store.catalog.content(digest)?.size) }
            return BlobSize(size: try await self.askForSize(digest, source))
        }
    }

    private func askForSize(_ digest: Digest, _ source: RoutedRepository) async throws -> Int64? {
        try await self.noting(.digest(digest), in: source) {
            try await source.ask { try await $0.blobSize(digest, in: $1) }
        }
    }

    /// Asks an upstream and remembers for a moment when it has nothing.
    func noting<T>(
        _ reference: Reference, in source: RoutedRepository, _ ask: () async throws -> T
    ) async throws -> T {
        do {
            return try await ask()
        } catch {
            self.absences.note(error, reference, in: source.repository)
            throw error
        }
    }

    /// Runs a job; whoever has something older to show does not wait long for something newer, while the job goes on.
    func patiently<T: Sendable>(
        _ completion: @escaping @Sendable (Result<T, PullThroughError>) -> Void, stale: @escaping @Sendable () -> T?,
        _ work: @escaping @Sendable () async throws -> T
    ) {
        let once = Once(completion)
        self.start({ once($0) }) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await Task.sleep(for: self.freshness.patience)
                    if let answer = stale() { once(.success(answer)) }
                }
                defer { group.cancelAll() }
                return try await work()
            }
        }
    }

    /// Runs a job and reports what it returns or throws; all that it asks for takes no longer than one question may.
    func start<T: Sendable>(
        _ completion: @escaping @Sendable (Result<T, PullThroughError>) -> Void, _ work: @escaping @Sendable () async throws -> T
    ) {
        let started = self.service.start {
            do {
                completion(.success(try await AskingTime.limited(to: Limits.Upstream.budget, work)))
            } catch {
                completion(.failure(PullThroughError(error)))
            }
        }
        if !started { completion(.failure(PullThroughError(.unavailable, "Amargo is stopping"))) }
    }
}
