import OCI
import PullThrough

/// What clients asked for, and what registries were asked for it.
extension MetricsReport {
    func writeTraffic(to text: inout MetricsText) {
        let upstreams = self.cache.traffic.upstreams
        text.begin(
            "amargo_requests_total", .counter,
            """
            Requests for content, by what was asked for and how it ended: hit, revalidated (confirmed by the registry just now), miss, collapsed \
            (joined a running download), stale, absent (there is no such thing, or it may not be had), failed.
            """)
        for upstream in upstreams {
            for kind in RequestKind.allCases {
                for outcome in RequestOutcome.allCases {
                    text.add(
                        upstream.requests(outcome, kind),
                        ["upstream": upstream.name, "kind": "\(kind)", "outcome": "\(outcome)"])
                }
            }
        }
        let counts = upstreams.map { (name: $0.name, counts: $0.counts) }
        func write(_ name: String, _ help: String, _ count: TrafficCount) {
            text.begin(name, .counter, help)
            for upstream in counts { text.add(upstream.counts[count], ["upstream": upstream.name]) }
        }
        write("amargo_pulls_total", "Manifests of images, not of indexes, that were sent to clients.", .pulls)
        write("amargo_served_bytes_total", "Bytes of content sent to clients.", .bytesServed)
        write(
            "amargo_upstream_received_bytes_total", "Bytes of content received from the registry and its mirrors.", .bytesFetched)
        write(
            "amargo_upstream_questions_total",
            "Manifests, blobs and lists that the registry was asked for, however many requests each of them took.",
            .upstreamRequests)
    }

    func writeUpstreams(to text: inout MetricsText) {
        let reports = self.cache.directory.bindings.map(\.report).sorted { $0.name < $1.name }
        func each(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: (UpstreamReport) -> Double?) {
            text.begin(name, kind, help)
            for report in reports { if let value = value(report) { text.add(value, ["upstream": report.name]) } }
        }
        each(
            "amargo_upstream_up", .gauge,
            "0 while the last that was heard of the registry is that it cannot be reached or fails; else 1, also before it is first asked."
        ) { $0.isDown ? 0 : 1 }
        text.begin(
            "amargo_upstream_circuit_open", .gauge,
            "1 while a place of the registry, itself or a mirror, is left alone because it failed several times in a row.")
        for report in reports {
            for place in report.places {
                text.add(Int64(place.isLeftAlone ? 1 : 0), ["upstream": report.name, "place": place.address])
            }
        }
        each(
            "amargo_upstream_requests_total", .counter,
            "HTTP requests sent to the registry and its mirrors, tokens, redirects and further attempts included."
        ) { Double($0.requests) }
        text.begin(
            "amargo_upstream_request_duration_seconds", .histogram,
            "From a request to the head of its answer, connecting included. Requests without an answer are errors.")
        for report in reports { text.add(report.latency, ["upstream": report.name]) }
        text.begin(
            "amargo_upstream_errors_total", .counter,
            "Requests to the registry and its mirrors that failed, each attempt counted, and content that was not what its digest says."
        )
        for report in reports {
            for error in report.errors { text.add(error.count, ["upstream": report.name, "class": error.name]) }
        }
        each(
            "amargo_upstream_last_answer_timestamp_seconds", .gauge,
            "When the registry or a mirror last gave any answer; missing until it has."
        ) { $0.answeredAgo.map(Self.timestamp) }
        each(
            "amargo_upstream_rate_limit", .gauge,
            "Pulls that the registry grants in a window of time; missing unless it has said so within the last window."
        ) { $0.currentRateLimit?.limit.map(Double.init) }
        each(
            "amargo_upstream_rate_limit_remaining", .gauge,
            "Pulls that the registry still grants; missing unless it has said so within the last window."
        ) { $0.currentRateLimit.map { Double($0.remaining) } }
    }

    func writeDownloads(to text: inout MetricsText) {
        var running: [String: (count: Int64, awaited: Int64, followers: Int64)] = [:]
        for download in self.cache.downloads.progress {
            let awaited = download.size.map { max(0, $0 - download.received) } ?? 0
            let known = running[download.upstream] ?? (0, 0, 0)
            running[download.upstream] = (known.count + 1, known.awaited + awaited, known.followers + Int64(download.followers))
        }
        let names = self.cache.directory.bindings.map(\.name).sorted()
        text.begin("amargo_downloads_in_flight", .gauge, "Downloads of blobs that are running.")
        for name in names { text.add(running[name]?.count ?? 0, ["upstream": name]) }
        text.begin(
            "amargo_downloads_awaited_bytes", .gauge,
            "Bytes that running downloads have still to receive, as far as their sizes are known.")
        for name in names { text.add(running[name]?.awaited ?? 0, ["upstream": name]) }
        text.begin("amargo_downloads_followers", .gauge, "Clients that are following a running download.")
        for name in names { text.add(running[name]?.followers ?? 0, ["upstream": name]) }
        let relays = self.cache.relayCounts
        text.gauge(
            "amargo_relays_in_flight", "Streams that pass content on to one client without storing it.", Double(relays.running))
        text.counter(
            "amargo_relays_total", "Streams that were begun for one client, of what could not be stored or lay far ahead.",
            relays.total)
    }
}
