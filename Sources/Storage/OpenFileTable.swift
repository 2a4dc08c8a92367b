import OCI
import Synchronization

/// Blobs that are open already, so that a hit needs no system call before it is sent. Bounded.
///
/// It also knows the files that have fallen out of it and are still being sent, so that nobody removes what is being read.
final class OpenFileTable: Sendable {
    private struct Slot {
        var file: ReadableFile
        var lastUse: UInt64
    }

    private struct Watched {
        weak var file: ReadableFile?
    }

    private struct Shard {
        var slots: [Digest: Slot] = [:]
        var watched: [Digest: Watched] = [:]
        var clock: UInt64 = 0

        mutating func watch(_ file: ReadableFile, for digest: Digest, capacity: Int) {
            if self.watched.count > 2 * capacity + 64 { self.watched = self.watched.filter { $0.value.file != nil } }
            self.watched[digest] = Watched(file: file)
        }
    }

    private final class Box: Sendable {
        let shard = Mutex(Shard())
    }

    private let boxes: [Box]
    private let capacity: Int

    /// - Parameter capacity: descriptors that may stay open, in all.
    init(capacity: Int) {
        self.boxes = (0..<16).map { _ in Box() }
        self.capacity = max(1, capacity / 16)
    }

    private func box(_ digest: Digest) -> Box { self.boxes[digest.shardHint & 15] }

    func file(_ digest: Digest) -> ReadableFile? {
        self.box(digest).shard.withLock { shard in
            shard.clock += 1
            let clock = shard.clock
            shard.slots[digest]?.lastUse = clock
            return shard.slots[digest]?.file
        }
    }

    func insert(_ file: ReadableFile, for digest: Digest) {
        // The one that falls out is closed after the lock is free.
        let fallen = self.box(digest).shard.withLock { shard -> Slot? in
            shard.clock += 1
            shard.slots[digest] = Slot(file: file, lastUse: shard.clock)
            shard.watch(file, for: digest, capacity: self.capacity)
            guard shard.slots.count > self.capacity,
                let oldest = shard.slots.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
            else { return nil }
            return shard.slots.removeValue(forKey: oldest)
        }
        _ = fallen
    }

    /// Takes note of a file that others keep open, such as the one that followers of a download read.
    func watch(_ file: ReadableFile, for digest: Digest) {
        self.box(digest).shard.withLock { $0.watch(file, for: digest, capacity: self.capacity) }
    }

    /// Lets go of a file; returns it when somebody else still reads from it.
    @discardableResult
    func remove(_ digest: Digest) -> ReadableFile? {
        // Closed, if it is to be, after the lock is free.
        var removed = self.box(digest).shard.withLock { shard in
            (shard.slots.removeValue(forKey: digest)?.file, shard.watched.removeValue(forKey: digest)?.file)
        }
        if let watched = removed.1, watched !== removed.0 { return watched }
        removed.1 = nil
        return Self.isRead(&removed.0) ? removed.0 : nil
    }

    /// Content from which somebody is sending at this moment.
    var readDigests: Set<Digest> {
        var digests: Set<Digest> = []
        for box in self.boxes {
            box.shard.withLock { shard in
                for (digest, watched) in shard.watched {
                    guard shard.slots[digest] == nil else { continue }
                    if watched.file != nil { digests.insert(digest) }
                }
                for digest in Array(shard.slots.keys) {
                    // Taken out, so that no copy of ours counts.
                    let slot = shard.slots.removeValue(forKey: digest)
                    let lastUse = slot?.lastUse ?? 0
                    var file = slot?.file
                    _ = consume slot
                    if Self.isRead(&file) { digests.insert(digest) }
                    if let file { shard.slots[digest] = Slot(file: file, lastUse: lastUse) }
                }
            }
        }
        return digests
    }

    /// Whether anybody but the one who asks holds the file.
    private static func isRead(_ file: inout ReadableFile?) -> Bool {
        file != nil && !isKnownUniquelyReferenced(&file)
    }
}
