import OCI
import PullThrough
import Storage

/// What a server says of itself to whoever asks on its socket.
extension StoreAdministration {
    func reportStatistics(_ windows: [TrafficWindow], _ emit: (AdminEvent) -> Void) -> Int {
        guard let cache = self.serving else { return Self.refuse(emit) }
        let report = cache.traffic.report(at: cache.wallClock)
        emit(.statistics(report))
        for window in windows { for event in AdminEvent.traffic(report, in: window) { emit(event) } }
        return 0
    }

    func reportActivity(_ emit: (AdminEvent) -> Void) -> Int {
        guard let cache = self.serving else { return Self.refuse(emit) }
        let total = self.store.catalog.total
        emit(
            AdminEvent("server").with("version", self.version).with("reason", self.store.degradation ?? "")
                .with("milliseconds", Self.milliseconds(self.startedAt.duration(to: .now)))
                .with("path", self.store.configuration.path.string).with("blobs", Int64(total.blobs))
                .with("bytes", self.store.capacity.usedBytes).with("maxSize", self.store.configuration.maxSize))
        for binding in cache.directory.bindings {
            let report = binding.report
            emit(
                AdminEvent("upstream").with("name", report.name).with("state", report.state.rawValue)
                    .with("lastError", report.lastError ?? "").with(
                        "rateLimitRemaining", report.rateLimit.map { Int64($0.remaining) } ?? -1
                    )
                    .with("rateLimit", report.rateLimit?.limit.map(Int64.init) ?? -1))
        }
        for download in cache.downloads.progress {
            emit(
                AdminEvent("download").with("digest", "\(download.digest)").with("upstream", download.upstream)
                    .with("repository", "\(download.repository)").with("received", download.received)
                    .with("size", download.size ?? -1).with("clients", Int64(download.followers))
                    .with("milliseconds", Self.milliseconds(download.elapsed)))
        }
        for pull in cache.traffic.recentPulls.all.prefix(Self.recentPulls) {
            emit(
                AdminEvent("pull").with("at", pull.at).with("upstream", pull.upstream).with("repository", "\(pull.repository)")
                    .with("reference", "\(pull.reference)").with("digest", "\(pull.digest)").with("outcome", "\(pull.outcome)"))
        }
        for upstream in cache.traffic.upstreams { emit(AdminEvent("flow").with("upstream", upstream.name).with(upstream.counts)) }
        return 0
    }

    private static let recentPulls = 8

    private static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    private static func refuse(_ emit: (AdminEvent) -> Void) -> Int {
        emit(AdminEvent("error").with("message", "the process that holds the store serves nothing"))
        return 1
    }
}
