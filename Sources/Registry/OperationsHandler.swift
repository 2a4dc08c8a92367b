import NIOCore
import NIOHTTP1
import OCI
import PullThrough

/// `/health` and `/ready`: how the process is, for people and for whatever watches it.
struct OperationsHandler {
    let cache: PullThroughCache
    let configuration: RegistryConfiguration
    let startedAt: ContinuousClock.Instant

    func health(_ exchange: Exchange) {
        let store = self.cache.store
        let total = store.catalog.total
        let degradation = store.degradation
        let upstreams = self.cache.directory.bindings.map { Self.describe($0.report) }.joined(separator: ",")
        let text = """
            {"status":"\(degradation == nil ? "ok" : "degraded")","reason":\(degradation.map(JSONText.quoted) ?? "null"),\
            "version":\(JSONText.quoted(self.configuration.version)),\
            "uptimeSeconds":\(self.startedAt.duration(to: .now).components.seconds),\
            "store":{"path":\(JSONText.quoted(store.configuration.path.string)),"blobs":\(total.blobs),"bytes":\(total.bytes),\
            "journalBytes":\(store.journalSize),"maxSize":\(store.configuration.maxSize),"minFree":\(store.configuration.minFree),\
            "lastRefusal":\(store.capacity.recentRefusal.map { JSONText.quoted($0.reason) } ?? "null")},\
            "downloads":\(self.cache.downloads.count),"upstreams":[\(upstreams)]}

            """
        Self.respond(.ok, text, exchange)
    }

    func ready(_ exchange: Exchange, isDraining: Bool) {
        Self.respond(isDraining ? .serviceUnavailable : .ok, "{\"ready\":\(!isDraining)}\n", exchange)
    }

    private static func describe(_ report: UpstreamReport) -> String {
        """
        {"name":\(JSONText.quoted(report.name)),"address":\(JSONText.quoted(report.address)),\
        "namespaces":[\(report.namespaces.map(JSONText.quoted).joined(separator: ","))],"state":"\(report.state.rawValue)",\
        "secondsSinceAnswer":\(report.secondsSinceAnswer.map(String.init) ?? "null"),\
        "lastError":\(report.lastError.map(JSONText.quoted) ?? "null"),"requests":\(report.requests),\
        "places":[\(report.places.map(Self.describe).joined(separator: ","))],\
        "rateLimitRemaining":\(report.rateLimit.map { String($0.remaining) } ?? "null"),\
        "rateLimit":\(report.rateLimit?.limit.map(String.init) ?? "null"),\
        "rateLimitWindowSeconds":\(report.rateLimit?.window.map { String($0.components.seconds) } ?? "null"),\
        "tagLifetimeFactor":\(report.stretch),"errors":\(report.errorCount),\
        "latencySeconds":\(report.recentLatency.map { String($0.secondsNumber) } ?? "null")}
        """
    }

    private static func describe(_ place: (address: String, isLeftAlone: Bool)) -> String {
        "{\"address\":\(JSONText.quoted(place.address)),\"circuit\":\"\(place.isLeftAlone ? "open" : "closed")\"}"
    }

    private static func respond(_ status: HTTPResponseStatus, _ text: String, _ exchange: Exchange) {
        var head = ResponseHead(status)
        head.add("content-type", "application/json")
        head.add("content-length", String(text.utf8.count))
        head.add("cache-control", "no-store")
        exchange.respond(head, .bytes(ByteBuffer(string: text)))
    }
}
