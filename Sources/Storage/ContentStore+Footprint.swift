/// What an opened store takes of the disk, as it counts for its cap: known without looking at the disk, but for the free bytes.
package struct StoreFootprint: Hashable, Sendable {
    /// Bytes of the blobs' blocks.
    package var blobs: Int64
    /// Bytes of the journal; they count twice for the cap, since a compaction writes it a second time.
    package var journal: Int64
    /// Bytes of downloads in progress and of those that wait to be gone on with.
    package var spool: Int64
    /// Bytes of damaged content.
    package var quarantine: Int64
    /// Bytes of folders and of image layouts, estimated.
    package var layouts: Int64
    /// Bytes set aside for what is coming, those that are written among them.
    package var reserved: Int64
    /// Bytes that the whole store may take; 0 without a cap.
    package var maxSize: Int64
    /// Bytes that are to stay free on the disk.
    package var minFree: Int64
    /// Bytes that are free on the disk; nil when it does not say.
    package var free: Int64?

    /// What is compared with `maxSize`.
    package var counted: Int64 {
        self.blobs + 2 * self.journal + self.spool + self.quarantine + self.layouts
    }
}

extension ContentStore {
    /// Blocks as long as asking the file system for its free bytes takes: not for event loops.
    package func footprint() -> StoreFootprint {
        let total = self.catalog.total
        let reserved = self.capacity.reservedBytes
        return StoreFootprint(
            blobs: total.allocated, journal: self.journal.size,
            spool: self.partials.bytes + max(0, reserved - self.capacity.comingBytes), quarantine: self.quarantined.bytes,
            layouts: DiskSpace.overhead(blobs: total.blobs, repositories: self.catalog.repositoryCount), reserved: reserved,
            maxSize: self.configuration.maxSize, minFree: self.configuration.minFree, free: self.root.availableBytes)
    }
}
