import OCI
import Synchronization

/// What upstreams said tags are, before their manifests are stored: a name is journaled only for durable bytes.
///
/// containerd asks HEAD for a tag and then GET for the digest, never GET for the tag; this is where the first answer waits
/// for the second. Bounded; what falls out is asked for again.
final class RecentTags: Sendable {
    struct Entry: Sendable {
        let digest: Digest
        let mediaType: MediaType?
        let size: Int64?
        let confirmedAt: ContinuousClock.Instant
    }

    private struct Key: Hashable {
        let repository: QualifiedRepository
        let tag: Tag
    }

    private static let limit = Limits.Memory.recentTags
    private let entries = Mutex<[Key: Entry]>([:])

    func entry(_ tag: Tag, in repository: QualifiedRepository) -> Entry? {
        self.entries.withLock { $0[Key(repository: repository, tag: tag)] }
    }

    func set(_ tag: Tag, in repository: QualifiedRepository, _ entry: Entry) {
        self.entries.withLock { entries in
            if entries.count >= Self.limit { entries.removeAll() }
            entries[Key(repository: repository, tag: tag)] = entry
        }
    }

    /// Removes what was said of a tag, unless something newer has been said since.
    func remove(_ tag: Tag, in repository: QualifiedRepository, if digest: Digest) {
        let key = Key(repository: repository, tag: tag)
        self.entries.withLock { entries in
            if entries[key]?.digest == digest { entries[key] = nil }
        }
    }

    /// The tags of a repository that wait for this digest.
    func tags(waitingFor digest: Digest, in repository: QualifiedRepository) -> [(tag: Tag, confirmedAt: ContinuousClock.Instant)]
    {
        self.entries.withLock { entries in
            entries.filter { $0.key.repository == repository && $0.value.digest == digest }
                .map { ($0.key.tag, $0.value.confirmedAt) }
        }
    }
}
