import OCI
import PullThrough
import Storage

/// What fills the disk, and what has become of it.
extension MetricsReport {
    func writeStore(_ figures: StoreFigures, to text: inout MetricsText) {
        let store = self.cache.store
        let configuration = store.configuration
        func bytes(_ value: Int64) -> Double? { value > 0 ? Double(value) : nil }
        text.gauge("amargo_store_blobs", "Manifests, configurations and layers that are stored.", Double(figures.content.blobs))
        text.gauge(
            "amargo_store_content_bytes", "Bytes of what is stored, each blob once, without what the file system adds.",
            Double(figures.content.bytes))
        text.begin(
            "amargo_store_used_bytes", .gauge,
            """
            Bytes of the disk that count for store.maxSize, by what takes them: blobs, layouts (folders, names and image layouts), journal (twice: it \
            is written anew beside itself), reserved (running downloads), partials (downloads to be gone on with), quarantine (damaged content).
            """)
        for part in StoreFigures.Part.allCases { text.add(figures.parts[part] ?? 0, ["part": part.rawValue]) }
        text.gauge("amargo_store_max_bytes", "store.maxSize; missing when there is no cap.", bytes(configuration.maxSize))
        text.gauge(
            "amargo_store_min_free_bytes", "store.minFree: below that, nothing is stored.", Double(configuration.minFree))
        text.gauge(
            "amargo_store_filesystem_available_bytes", "Bytes that are available on the store's file system.",
            figures.availableBytes.map(Double.init))
        text.gauge(
            "amargo_store_filesystem_bytes", "Bytes of the store's file system in all.", figures.fileSystemBytes.map(Double.init))
        let bindings = self.cache.directory.bindings.sorted { $0.name < $1.name }
        text.begin("amargo_store_upstream_bytes", .gauge, "Bytes of the disk that blobs take which came from the registry first.")
        for binding in bindings { text.add(store.catalog.share(of: binding.namespace), ["upstream": binding.name]) }
        text.begin(
            "amargo_store_upstream_max_bytes", .gauge, "The cap of what came from the registry; missing when there is none.")
        for binding in bindings {
            if let cap = configuration.shares[binding.namespace], cap > 0 { text.add(cap, ["upstream": binding.name]) }
        }
        self.writeChanges(figures, to: &text)
    }

    private func writeChanges(_ figures: StoreFigures, to text: inout MetricsText) {
        text.begin(
            "amargo_evictions_total", .counter,
            """
            Images, or blobs of none, that were removed: orphan (no manifest refers to it), least_recently_pulled (room was needed), unused (nobody \
            pulled it for retainFor), removed (by amargo rm).
            """)
        for removal in figures.removals { text.add(removal.count, ["reason": Self.name(removal.reason)]) }
        text.begin("amargo_evicted_bytes_total", .counter, "Bytes of the disk that came free, by the same reasons.")
        for removal in figures.removals { text.add(removal.bytes, ["reason": Self.name(removal.reason)]) }
        text.begin(
            "amargo_store_refusals_total", .counter,
            """
            How often something was passed on without being stored for lack of room: max_size (store.maxSize), share (the registry's cap), min_free \
            (store.minFree), unusable (the store's folder is gone).
            """)
        for refusal in figures.refusals { text.add(refusal.count, ["reason": Self.name(refusal.obstacle)]) }
        text.counter(
            "amargo_store_failures_total", "How often storing a blob failed because the disk refused or lost what was written.",
            figures.failures)
        text.gauge("amargo_journal_bytes", "Bytes of the journal.", Double(figures.journalBytes))
        text.begin(
            "amargo_journal_sync_duration_seconds", .histogram, "How long the disk took to keep what was written to the journal.")
        text.add(figures.journalSyncs)
        text.counter(
            "amargo_journal_failures_total", "How often the journal could not be written, synced or written anew.",
            figures.journalFailures)
        text.counter("amargo_journal_rewrites_total", "How often the journal was written anew.", figures.journalRewrites)
    }

    func writeChecks(_ figures: StoreFigures, to text: inout MetricsText) {
        text.counter(
            "amargo_damaged_blobs_total",
            "Stored blobs that were found damaged, by a hit, the scrub or amargo verify --repair; they are served no more.",
            figures.damages)
        guard let scrub = self.instruments.scrub?() else { return }
        text.counter("amargo_scrub_blobs_total", "Blobs that the scrub has hashed.", scrub.blobs)
        text.counter("amargo_scrub_bytes_total", "Bytes that the scrub has hashed.", scrub.bytes)
        text.counter("amargo_scrub_findings_total", "Damaged blobs that the scrub has found.", scrub.damaged)
        text.counter("amargo_scrub_rounds_total", "How often the scrub has been round the whole store.", scrub.rounds)
        text.gauge(
            "amargo_scrub_last_round_timestamp_seconds", "When the scrub last ended a round; missing until it has.",
            scrub.lastRound.map { Self.timestamp($0.duration(to: .now)) })
    }

    private static func name(_ reason: EvictionPlan.Reason) -> String {
        switch reason {
        case .leastRecentlyPulled: "least_recently_pulled"
        case .orphan, .unused, .removed: reason.rawValue
        }
    }

    private static func name(_ obstacle: CapacityLedger.Obstacle) -> String {
        switch obstacle {
        case .maxSize: "max_size"
        case .share: "share"
        case .minFree: "min_free"
        case .unusable: "unusable"
        }
    }
}
