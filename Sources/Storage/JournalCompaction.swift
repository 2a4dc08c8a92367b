import Glibc
import SystemPackage

/// Writes a journal as a whole: header, then every record of the present state.
///
/// Order: `journal.jsonl.new` → fdatasync → rename over `journal.jsonl` → fsync of the store's folder. Killed at any call before
/// the rename, the old file stands.
enum JournalCompaction {
    struct Result {
        let descriptor: CInt
        let nextSequence: Int64
        let size: Int64
    }

    static func write(
        in root: StoreRoot, generation: Int64, store: String, snapshot: Journal.Snapshot
    ) throws -> Result {
        try root.remove(StoreLayout.newJournal)
        let descriptor = try root.open(
            StoreLayout.newJournal, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, mode: 0o600)
        do {
            // The header says how large the file is as written, so that a later start knows how much of it is alive.
            let records = try Self.writeRecords(to: descriptor, generation: generation, store: store, snapshot: snapshot)
            guard fdatasync(descriptor) == 0 else { throw StorageError(.current, "sync \(StoreLayout.newJournal)") }
            try root.rename(StoreLayout.newJournal, to: StoreLayout.journal)
            try root.synchronizeDirectory(nil)
            return Result(descriptor: descriptor, nextSequence: records.count + 1, size: records.size)
        } catch {
            close(descriptor)
            try? root.remove(StoreLayout.newJournal)  // the failed write is the news, not this
            throw error
        }
    }

    private static func writeRecords(
        to descriptor: CInt, generation: Int64, store: String, snapshot: Journal.Snapshot
    ) throws -> (count: Int64, size: Int64) {
        var sequence: Int64 = 0
        var live: Int64 = 0
        try snapshot { record in
            for payload in record.payloads() {
                sequence += 1
                live += Int64(payload.count + 40)
            }
        }
        var buffer = JournalLine.header(generation: generation, store: store, live: live)
        var size: Int64 = 0
        sequence = 0
        try snapshot { record in
            for payload in record.payloads() {
                let start = buffer.count
                JournalLine.append(generation: generation, sequence: sequence + 1, payload: payload, to: &buffer)
                // Only a newer version's line can be as long as that, by a number that has grown; it would be damage.
                guard buffer.count - start <= JournalLine.maximumLength else {
                    buffer.removeLast(buffer.count - start)
                    continue
                }
                sequence += 1
            }
            if buffer.count > 1 << 18 {
                try buffer.withUnsafeBytes { try descriptor.writeAll($0, to: StoreLayout.newJournal) }
                size += Int64(buffer.count)
                buffer.removeAll(keepingCapacity: true)
            }
        }
        try buffer.withUnsafeBytes { try descriptor.writeAll($0, to: StoreLayout.newJournal) }
        return (sequence, size + Int64(buffer.count))
    }

    /// Keeps a damaged journal as `.bad-<generation>` next to what will replace it, and one older such file at most.
    static func keepAside(generation: Int64, in root: StoreRoot) throws {
        let prefix = "\(StoreLayout.journal).bad-"
        let others = try root.entries(of: nil).filter { $0.hasPrefix(prefix) }.compactMap { Int64($0.dropFirst(prefix.count)) }
        for other in others.filter({ $0 != generation }).sorted().dropLast() { try root.remove(StoreLayout.badJournal(other)) }
        try root.remove(StoreLayout.badJournal(generation))
        // A link, not a rename: the damaged file stays in place until the new one replaces it.
        _ = try root.link(StoreLayout.journal, to: StoreLayout.badJournal(generation))
    }
}
