import OCI

/// How full a store is and what it has been through since this process began, in plain values.
package struct StoreFigures: Sendable {
    /// What takes room on the disk, and counts for `store.maxSize`.
    package enum Part: String, CaseIterable, Sendable {
        case blobs
        /// Folders, names and image layouts.
        case layouts
        /// Counts twice: it is written anew beside itself.
        case journal
        /// Downloads that are running; and content that has lost its name, but not its readers.
        case reserved
        /// Downloads that did not end, and wait to be gone on with.
        case partials
        case quarantine
    }

    package let content: Catalog.Totals
    /// Bytes of the disk.
    package let parts: [Part: Int64]
    /// Bytes that are available, and that there are in all, on the store's file system; nil when it does not say.
    package let availableBytes: Int64?
    package let fileSystemBytes: Int64?
    package let removals: [(reason: EvictionPlan.Reason, count: Int64, bytes: Int64)]
    /// How often something was not stored, and why.
    package let refusals: [(obstacle: CapacityLedger.Obstacle, count: Int64)]
    /// Writing that the disk refused, the journal's aside.
    package let failures: Int64
    /// Content that was found damaged, by whoever.
    package let damages: Int64
    package let journalBytes: Int64
    package let journalSyncs: Histogram.Snapshot
    package let journalFailures: Int64
    package let journalRewrites: Int64
}

extension ContentStore {
    /// Asks the file system, nothing else: a store of a million blobs costs no more than an empty one. Blocks.
    package var figures: StoreFigures {
        let total = self.catalog.total
        return StoreFigures(
            content: total,
            parts: [
                .blobs: total.allocated,
                .layouts: DiskSpace.overhead(blobs: total.blobs, repositories: self.catalog.repositoryCount),
                .journal: 2 * self.journal.size, .reserved: self.capacity.reservedBytes, .partials: self.partials.bytes,
                .quarantine: self.quarantined.bytes,
            ],
            availableBytes: self.root.availableBytes, fileSystemBytes: self.root.totalBytes,
            removals: EvictionPlan.Reason.allCases.map { reason in
                let (count, bytes) = self.counts.removals(reason)
                return (reason, count, bytes)
            },
            refusals: CapacityLedger.Obstacle.allCases.map { ($0, self.capacity.refusals(for: $0)) },
            failures: self.counts.failures, damages: self.counts.damages, journalBytes: self.journal.size,
            journalSyncs: self.journal.syncs.snapshot, journalFailures: self.journal.failures.load(ordering: .relaxed),
            journalRewrites: self.journal.rewrites.load(ordering: .relaxed))
    }
}
