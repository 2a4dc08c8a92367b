import OCI
import Synchronization

/// Blobs that are open already, so that a hit needs no system call before it is sent. Bounded.
final class OpenFileTable: Sendable {
    private struct Slot {
        let file: ReadableFile
        var lastUse: UInt64
    }

    private struct Shard {
        var slots: [Digest: Slot] = [:]
        var clock: UInt64 = 0
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
            guard shard.slots.count > self.capacity,
                let oldest = shard.slots.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
            else { return nil }
            return shard.slots.removeValue(forKey: oldest)
        }
        _ = fallen
    }

    func remove(_ digest: Digest) {
        let removed = self.box(digest).shard.withLock { $0.slots.removeValue(forKey: digest) }
        _ = removed
    }
}
