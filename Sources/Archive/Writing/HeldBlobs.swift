import Glibc
import OCI

/// Blobs that were opened before the first of them is written: what is evicted meanwhile is carried all the same.
///
/// As many as there are descriptors for; those that are written last wait longest and come first.
final class HeldBlobs {
    private var descriptors: [Digest: CInt] = [:]

    /// Blocks.
    ///
    /// - Throws: `BundleError.vanished` or `.damaged` for a blob that is not as the plan found it.
    init(_ members: some BidirectionalCollection<ExportPlan.Member>, of blobs: StoredBlobs, limit: Int) throws {
        for member in members.reversed() {
            guard self.descriptors.count < limit else { break }
            let blob = try blobs.open(member.digest, size: member.size)
            let copy = fcntl(blob.descriptor, F_DUPFD_CLOEXEC, 0)
            // Fewer than were thought: the others are opened when it is their turn.
            guard copy >= 0 else { break }
            self.descriptors[member.digest] = copy
        }
    }

    deinit {
        for descriptor in self.descriptors.values { close(descriptor) }
    }

    /// Gives a blob away, if it is held.
    func take(_ digest: Digest, size: Int64) -> StoredBlob? {
        guard let descriptor = self.descriptors.removeValue(forKey: digest) else { return nil }
        return StoredBlob(digest: digest, size: size, descriptor: descriptor)
    }
}
