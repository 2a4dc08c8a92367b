import Glibc
import NIOCore
import OCI
import PullThrough
import Storage

/// What `/metrics` says, family by family, always in the same order.
///
/// Every label's value is a registry's name in the configuration, an address of it there, or one of a few fixed words: never a repository,
/// a digest or a client. Counters are there with 0 from the start, so that the first failure is seen as a rise.
struct MetricsReport {
    let cache: PullThroughCache
    let configuration: RegistryConfiguration
    let connections: ConnectionCounts
    let responses: [ResponseCounts]
    let instruments: Instruments
    /// Asked once: it must not move with the clock.
    private static let startTime = ProcessFigures.startTime()

    init(
        cache: PullThroughCache, configuration: RegistryConfiguration, connections: ConnectionCounts, responses: [ResponseCounts],
        instruments: Instruments
    ) {
        self.cache = cache
        self.configuration = configuration
        self.connections = connections
        self.responses = responses
        self.instruments = instruments
    }

    /// Looks at everything. Blocks, but not for long.
    var text: ByteBuffer {
        var text = MetricsText()
        let figures = self.cache.store.figures
        self.writeHealth(to: &text)
        self.writeTraffic(to: &text)
        self.writeUpstreams(to: &text)
        self.writeDownloads(to: &text)
        self.writeStore(figures, to: &text)
        self.writeChecks(figures, to: &text)
        self.writeConnections(to: &text)
        self.writeProcess(to: &text)
        return text.buffer
    }

    private func writeHealth(to text: inout MetricsText) {
        text.begin("amargo_build_info", .gauge, "Always 1; its label says which version this is.")
        text.add(Int64(1), ["version": self.configuration.version])
        text.gauge(
            "amargo_degraded", "1 while the store cannot keep what is pulled; /health says why.",
            self.cache.store.degradation == nil ? 0 : 1)
    }

    private func writeConnections(to text: inout MetricsText) {
        text.gauge("amargo_client_connections", "Connections of clients that are open.", Double(self.connections.open))
        text.gauge(
            "amargo_client_connections_limit", "Connections of clients that may be open at the same time.",
            Double(self.connections.limit))
        text.counter(
            "amargo_client_connections_accepted_total", "Connections of clients that were taken in.", self.connections.accepted)
        text.counter(
            "amargo_client_connections_refused_total",
            "Connections of clients that were refused with 503 or dropped, because there were too many in all or of one address.",
            self.connections.refused)
        text.begin(
            "amargo_http_responses_total", .counter,
            "Responses by the class of their status, /metrics and the like included, refused connections not.")
        for place in ResponseCounts.classes where place > 1 {
            text.add(self.responses.reduce(0) { $0 + $1.count(place) }, ["class": "\(place)xx"])
        }
        text.counter(
            "amargo_log_lines_dropped_total", "Log lines that were not written because nobody read them in time.",
            self.instruments.droppedLogLines())
    }

    private func writeProcess(to text: inout MetricsText) {
        let process = ProcessFigures()
        text.begin("process_cpu_seconds_total", .counter, "Total user and system CPU time spent in seconds.")
        text.add(process.processorSeconds)
        text.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process.residentBytes.map(Double.init))
        text.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.virtualBytes.map(Double.init))
        text.gauge("process_open_fds", "Number of open file descriptors.", process.openDescriptors.map(Double.init))
        text.gauge("process_max_fds", "Maximum number of open file descriptors.", process.descriptorLimit.map(Double.init))
        text.gauge(
            "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", Self.startTime)
    }

    /// Unix seconds of what was so long ago.
    static func timestamp(_ ago: Duration) -> Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return ((Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 - ago.secondsNumber) * 1000).rounded() / 1000
    }
}
