import OCI
import PullThrough
import Storage

/// What changes from second to second: health, figures, downloads, registries, recent pulls.
struct LiveDocument {
    /// Downloads that are shown one by one.
    private static let downloads = 30
    private static let pulls = 10

    let cache: PullThroughCache
    let version: String
    /// Unix seconds.
    let startedAt: Int64

    /// Blocks: it asks the file system for its free bytes.
    func json(_ report: TrafficReport) -> String {
        let downloads = self.cache.downloads.progress
        let isOffline = self.cache.directory.bindings.allSatisfy(\.isOffline)
        return """
            {"version":\(JSONText.quoted(self.version)),"page":"\(DashboardPage.embedded.version)","startedAt":\(self.startedAt),\
            "now":\(report.at),"offline":\(isOffline),"health":\(self.health),"store":\(self.store),\
            "revision":"\(self.revision)","traffic":\(Self.traffic(report)),\
            "downloads":[\(downloads.prefix(Self.downloads).map(Self.describe).joined(separator: ","))],\
            "downloadCount":\(downloads.count),\
            "upstreams":[\(self.cache.directory.bindings.map { self.describe($0, at: report.at) }.joined(separator: ","))],\
            "recent":[\(self.recent.joined(separator: ","))]}

            """
    }

    private var health: String {
        let degradation = self.cache.store.degradation
        let refusal = self.cache.store.capacity.recentRefusal?.reason
        return """
            {"status":"\(degradation == nil ? "ok" : "degraded")","reason":\(degradation.map(JSONText.quoted) ?? "null"),\
            "lastRefusal":\(refusal.map(JSONText.quoted) ?? "null")}
            """
    }

    private var store: String {
        let store = self.cache.store
        let footprint = store.footprint()
        let total = store.catalog.total
        return """
            {"path":\(JSONText.quoted(store.configuration.path.string)),"blobs":\(total.blobs),"bytes":\(total.bytes),\
            "repositories":\(store.catalog.repositoryCount),"usedBytes":\(footprint.counted),"reservedBytes":\(footprint.reserved),\
            "maxSize":\(footprint.maxSize),"minFree":\(footprint.minFree),"freeBytes":\(footprint.free.map(String.init) ?? "null")}
            """
    }

    /// Differs when content has come or gone.
    private var revision: String {
        let total = self.cache.store.catalog.total
        return "\(total.blobs)-\(total.bytes)-\(self.cache.store.catalog.repositoryCount)"
    }

    private static func traffic(_ report: TrafficReport) -> String {
        let windows = TrafficWindow.allCases.map { "\"\($0.rawValue)\":\(report.total(in: $0).json)" }
        return "{\"since\":\(report.since),\(windows.joined(separator: ","))}"
    }

    private static func describe(_ download: DownloadProgress) -> String {
        let seconds = Double(download.elapsed.components.seconds) + Double(download.elapsed.components.attoseconds) / 1e18
        return """
            {"id":\(JSONText.quoted("\(download.repository)@\(download.digest)")),"digest":"\(download.digest)",\
            "repository":\(JSONText.quoted("\(download.repository)")),"received":\(download.received),\
            "size":\(download.size.map(String.init) ?? "null"),"clients":\(download.followers),"seconds":\(seconds)}
            """
    }

    private func describe(_ binding: UpstreamBinding, at now: Int64) -> String {
        let report = binding.report
        let rate = report.currentRateLimit.map { rate in
            """
            {"remaining":\(rate.remaining),"limit":\(rate.limit.map(String.init) ?? "null"),\
            "windowSeconds":\(rate.window.map { String($0.components.seconds) } ?? "null")}
            """
        }
        // A registry without mirrors is one place, which the address says already.
        let places = report.places.count < 2 ? [] : report.places
        let mirrors = places.enumerated().map { number, place in
            """
            {"address":\(JSONText.quoted(place.address)),"leftAlone":\(place.isLeftAlone),\
            "isOrigin":\(number == places.count - 1)}
            """
        }
        let store = self.cache.store
        return """
            {"name":\(JSONText.quoted(report.name)),"address":\(JSONText.quoted(report.address)),\
            "namespaces":[\(report.namespaces.map(JSONText.quoted).joined(separator: ","))],"state":"\(report.state.rawValue)",\
            "down":\(report.isDown),\
            "lastAnswerAt":\(report.secondsSinceAnswer.map { String(now - $0) } ?? "null"),\
            "lastError":\(report.lastFailure.map { JSONText.quoted($0.message) } ?? "null"),\
            "lastErrorAt":\(report.lastFailure.map { String(now - $0.secondsAgo) } ?? "null"),"requests":\(report.requests),\
            "latencyMs":\(report.recentLatency.map { String(Int64(($0 / .milliseconds(1)).rounded())) } ?? "null"),\
            "leftAlone":\(report.places.allSatisfy(\.isLeftAlone)),"mirrors":[\(mirrors.joined(separator: ","))],\
            "rateLimit":\(rate ?? "null"),"tagLifetimeFactor":\(report.stretch),\
            "bytes":\(store.catalog.share(of: binding.namespace)),"maxSize":\(store.configuration.shares[binding.namespace] ?? 0)}
            """
    }

    // MARK: - Recent pulls

    private var recent: [String] {
        var seen: [String: Int] = [:]
        let pulls = Array(self.cache.traffic.recentPulls.all.prefix(Self.pulls))
        // Numbered from the oldest, so that what happened in the same second keeps its name.
        return pulls.reversed().map { pull in
            let id = "\(pull.at)@\(pull.digest)"
            seen[id, default: 0] += 1
            return """
                {"id":"\(id)#\(seen[id] ?? 0)","image":\(JSONText.quoted(self.name(of: pull))),"digest":"\(pull.digest)",\
                "at":\(pull.at),"outcome":"\(pull.outcome)"}
                """
        }.reversed()
    }

    /// With the tag that led to it: engines ask for images of an index by digest.
    private func name(of pull: RecentPulls.Pull) -> String {
        if case .tag(let tag) = pull.reference { return "\(pull.repository):\(tag)" }
        let catalog = self.cache.store.catalog
        let tags = catalog.tags(in: pull.repository).filter { _, entry in
            entry.digest == pull.digest || catalog.content(entry.digest)?.manifest?.child(pull.digest) != nil
        }
        let newest = tags.max { ($0.value.fetchedAt, $1.key.description) < ($1.value.fetchedAt, $0.key.description) }
        return newest.map { "\(pull.repository):\($0.key)" } ?? "\(pull.repository)"
    }
}
