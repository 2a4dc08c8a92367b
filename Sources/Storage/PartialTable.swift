import OCI
import Synchronization

/// Downloads that did not end and are worth going on with: their files wait in `spool/`.
final class PartialTable: Sendable {
    /// Less than this is fetched again as quickly as it is hashed again.
    static let minimumSize: Int64 = 16 << 20

    struct Entry: Sendable {
        let path: StorePath
        let size: Int64
    }

    private let entries = Mutex<[Digest: Entry]>([:])

    /// Bytes on the disk.
    var bytes: Int64 { self.entries.withLock { $0.values.reduce(0) { $0 + $1.size } } }

    var all: [Digest: Entry] { self.entries.withLock { $0 } }

    func contains(_ digest: Digest) -> Bool { self.entries.withLock { $0[digest] != nil } }

    /// Remembers a partial; returns the one to be removed, when there are two of a digest: the smaller.
    func insert(_ entry: Entry, for digest: Digest) -> Entry? {
        self.entries.withLock { entries in
            guard let old = entries[digest] else {
                entries[digest] = entry
                return nil
            }
            guard old.size < entry.size else { return entry }
            entries[digest] = entry
            return old
        }
    }

    func take(_ digest: Digest) -> Entry? { self.entries.withLock { $0.removeValue(forKey: digest) } }
}
