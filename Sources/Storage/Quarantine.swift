import Logging
import OCI
import Synchronization

/// Damaged content, kept to be looked at: `quarantine/sha256-HEX`. Bounded; the oldest goes first. All calls block.
final class Quarantine: Sendable {
    private let root: StoreRoot
    private let limit: Mutex<Int64>
    private let logger: Logger
    private let total = Mutex<Int64>(0)

    /// Bytes that a store with this cap keeps of damaged content: a twentieth of it, at most 1 GiB.
    static func limit(cap: Int64) -> Int64 { cap > 0 ? min(1 << 30, cap / 20) : 1 << 30 }

    init(root: StoreRoot, limit: Int64, logger: Logger) {
        self.root = root
        self.limit = Mutex(limit)
        self.logger = logger
    }

    /// Puts another limit in force, for what comes from now on.
    func use(limit: Int64) { self.limit.withLock { $0 = limit } }

    /// Bytes on the disk.
    var bytes: Int64 { self.total.withLock { $0 } }

    /// Moves content out of `blobs/`.
    func take(_ digest: Digest) throws {
        // Somebody may have tidied it away.
        try self.root.makeDirectory(StoreLayout.quarantine, mode: 0o700)
        try self.root.rename(StoreLayout.blob(digest), to: StoreLayout.quarantined(digest))
        try self.root.synchronizeDirectory(StoreLayout.shard(of: digest))
        self.trim()
    }

    /// Counts what is there, and removes the oldest of what is too much.
    func trim() {
        do {
            var entries: [(path: StorePath, status: StoreRoot.FileStatus)] = []
            for name in try self.root.entries(of: StoreLayout.quarantine) {
                guard let path = StoreLayout.quarantineEntry(name), let status = try self.root.status(of: path) else { continue }
                entries.append((path, status))
            }
            var bytes = entries.reduce(0) { $0 + $1.status.allocated }
            let limit = self.limit.withLock { $0 }
            entries.sort { $0.status.changedAt < $1.status.changedAt }
            for entry in entries where bytes > limit {
                try self.root.remove(entry.path)
                bytes -= entry.status.allocated
                self.logger.notice(
                    "Removed damaged content from quarantine to keep it small", metadata: ["name": "\(entry.path.name)"])
            }
            let counted = bytes
            self.total.withLock { $0 = counted }
        } catch {
            self.logger.warning("The quarantine could not be looked at", metadata: ["error": "\(error)"])
        }
    }
}
