import OCI
import Synchronization

/// Content that is being written at this moment: what waits for it is not to be removed meanwhile.
final class WritingTable: Sendable {
    private let counts = Mutex<[Digest: Int]>([:])

    var digests: Set<Digest> { self.counts.withLock { Set($0.keys) } }

    func lease(_ digest: Digest) -> WriteLease {
        self.counts.withLock { $0[digest, default: 0] += 1 }
        return WriteLease(table: self, digest: digest)
    }

    fileprivate func end(_ digest: Digest) {
        self.counts.withLock { counts in
            guard let count = counts[digest], count > 1 else { return counts[digest] = nil }
            counts[digest] = count - 1
        }
    }
}

/// Says for as long as it lives that content is on its way.
package final class WriteLease: Sendable {
    private let table: WritingTable
    private let digest: Digest

    fileprivate init(table: WritingTable, digest: Digest) {
        self.table = table
        self.digest = digest
    }

    deinit {
        self.table.end(self.digest)
    }
}
