import OCI
import Storage

/// What fills a store's folder beside its blobs, in bytes of the disk.
package struct StoreSpace: Hashable, Sendable {
    /// The journal, and what is kept of damaged ones.
    package var journal: Int64 = 0
    /// Downloads that are running, or wait to be gone on with.
    package var spool: Int64 = 0
    /// Damaged content.
    package var quarantine: Int64 = 0
    /// Folders, the store's own small files, and what image layouts have beside their links to blobs.
    package var folders: Int64 = 0
    /// Blobs of image layouts that are no links, as after a copy that did not keep them.
    package var copies: Int64 = 0
    /// Files in `blobs/` that the journal does not know: the next start looks at them.
    package var unknown: Int64 = 0
    /// What else lies in the folder.
    package var other: Int64 = 0
    /// Folders that could not be read, such as root's `lost+found`: what is in them is not counted.
    package var unreadable = 0
    /// Bytes that the whole store may take; 0 without a cap.
    package var maxSize: Int64 = 0
    /// Bytes that are to stay free on the disk.
    package var minFree: Int64 = 0
    /// Bytes that are free on the disk; nil when it does not say.
    package var free: Int64?
    /// False where it is made up from what is known without looking.
    package var isMeasured = false

    package init() {}

    /// All of it, without the blobs that are known.
    package var bytes: Int64 {
        self.journal + self.spool + self.quarantine + self.folders + self.copies + self.unknown + self.other
    }

    /// As a running store knows it without looking at the disk, but for the free bytes.
    package init(_ footprint: StoreFootprint) {
        self.journal = footprint.journal
        self.spool = footprint.spool
        self.quarantine = footprint.quarantine
        self.folders = footprint.layouts
        self.maxSize = footprint.maxSize
        self.minFree = footprint.minFree
        self.free = footprint.free
    }
}
