import OCI
import Synchronization

/// What is stored, in memory: content by digest, names by repository. Replayed from the journal at the start.
///
/// Split into shards with a lock each, so that a hit on one event loop never waits for another and nothing ever copies
/// the whole. Every method is a few dictionary operations: safe to call on an event loop.
package final class Catalog: Sendable {
    package struct Content: Hashable, Sendable {
        /// Bytes.
        package let size: Int64
        /// Unix seconds at which it was stored.
        package let storedAt: Int64
        /// Where it was pulled first; its bytes count for that registry's cap.
        package fileprivate(set) var origin: Namespace?
        package var manifest: ManifestFacts?
        /// Unix seconds of the last pull, for manifests; 0 when there was none.
        package var usedAt: Int64 = 0
    }

    package struct TagEntry: Hashable, Sendable {
        package let digest: Digest
        /// When the upstream last confirmed it, in Unix seconds of the wall clock.
        package let fetchedAt: Int64
        /// The same on this process's monotonic clock; nil when an earlier process was told.
        package let confirmedAt: ContinuousClock.Instant?
    }

    private struct Repository {
        var tags: [Tag: TagEntry] = [:]
        var contents: Set<Digest> = []
    }

    private final class ContentShard: Sendable {
        let entries = Mutex<[Digest: Content]>([:])
    }

    private final class RepositoryShard: Sendable {
        let repositories = Mutex<[QualifiedRepository: Repository]>([:])
    }

    private let contents: [ContentShard]
    private let repositories: [RepositoryShard]
    private let unknown = Mutex<[JournalRecord]>([])
    private let totals = Mutex(Totals())
    private let sharesByNamespace = Mutex<[Namespace: Int64]>([:])

    package struct Totals: Hashable, Sendable {
        package var blobs = 0
        package var bytes: Int64 = 0
    }

    package init() {
        self.contents = (0..<64).map { _ in ContentShard() }
        self.repositories = (0..<16).map { _ in RepositoryShard() }
    }

    private func shard(_ digest: Digest) -> ContentShard { self.contents[digest.shardHint & 63] }

    private func shard(_ repository: QualifiedRepository) -> RepositoryShard {
        self.repositories[repository.hashValue & 15]
    }

    // MARK: - Questions

    package func content(_ digest: Digest) -> Content? { self.shard(digest).entries.withLock { $0[digest] } }

    package func tag(_ tag: Tag, in repository: QualifiedRepository) -> TagEntry? {
        self.shard(repository).repositories.withLock { $0[repository]?.tags[tag] }
    }

    package func holds(_ digest: Digest, in repository: QualifiedRepository) -> Bool {
        self.shard(repository).repositories.withLock { $0[repository]?.contents.contains(digest) ?? false }
    }

    package func tags(in repository: QualifiedRepository) -> [Tag: TagEntry] {
        self.shard(repository).repositories.withLock { $0[repository]?.tags ?? [:] }
    }

    package func contents(of repository: QualifiedRepository) -> Set<Digest> {
        self.shard(repository).repositories.withLock { $0[repository]?.contents ?? [] }
    }

    /// What a stored manifest of the repository says that absent content measures, in bytes; nil when none mentions it.
    package func expectedSize(of digest: Digest, in repository: QualifiedRepository) -> Int64? {
        for parent in self.contents(of: repository) {
            guard let children = self.content(parent)?.manifest?.children else { continue }
            if let edge = children.first(where: { $0.digest == digest }) { return edge.size }
        }
        return nil
    }

    package var allRepositories: [QualifiedRepository] {
        self.repositories.flatMap { shard in shard.repositories.withLock { Array($0.keys) } }
    }

    package var total: Totals { self.totals.withLock { $0 } }

    /// Bytes of what was pulled first from this registry.
    package func share(of namespace: Namespace) -> Int64 { self.sharesByNamespace.withLock { $0[namespace] ?? 0 } }

    // MARK: - Changes

    /// Takes a record in. Doing so twice changes nothing.
    package func apply(_ record: JournalRecord, receivedAt: ContinuousClock.Instant? = nil) {
        switch record {
        case .blob(let digest, let size, let repository, let at):
            self.store(digest, Content(size: size, storedAt: at, manifest: nil))
            if let repository { self.link(digest, repository) }
        case .manifest(let digest, let facts, let size, let repository, let at):
            self.store(digest, Content(size: size, storedAt: at, manifest: facts))
            if let repository { self.link(digest, repository) }
        case .link(let digest, let repository):
            self.link(digest, repository)
        case .tag(let tag, let repository, let digest, let fetchedAt):
            let entry = TagEntry(digest: digest, fetchedAt: fetchedAt, confirmedAt: receivedAt)
            self.shard(repository).repositories.withLock { $0[repository, default: Repository()].tags[tag] = entry }
        case .untag(let tag, let repository):
            self.shard(repository).repositories.withLock { _ = $0[repository]?.tags.removeValue(forKey: tag) }
        case .use(let digest, let at):
            self.shard(digest).entries.withLock { entries in
                guard let used = entries[digest]?.usedAt, used < at else { return }
                entries[digest]?.usedAt = at
            }
        case .delete(let digest), .deleted(let digest):
            self.remove(digest)
        case .unknown:
            self.unknown.withLock { $0.append(record) }
        }
    }

    private func store(_ digest: Digest, _ content: Content) {
        let old = self.shard(digest).entries.withLock { entries -> Content? in
            let old = entries[digest]
            var new = content
            if let old {
                // What is known stays known: a second line of the same content only adds.
                new = Content(
                    size: content.size, storedAt: old.storedAt, origin: old.origin, manifest: content.manifest ?? old.manifest,
                    usedAt: old.usedAt)
            }
            entries[digest] = new
            return old
        }
        self.count(old: old?.size, new: content.size, origin: old?.origin)
    }

    private func remove(_ digest: Digest) {
        guard let old = self.shard(digest).entries.withLock({ $0.removeValue(forKey: digest) }) else { return }
        self.count(old: old.size, new: nil, origin: old.origin)
    }

    private func count(old: Int64?, new: Int64?, origin: Namespace?) {
        let difference = (new ?? 0) - (old ?? 0)
        self.totals.withLock { totals in
            totals.blobs += (new == nil ? 0 : 1) - (old == nil ? 0 : 1)
            totals.bytes += difference
        }
        if let origin { self.sharesByNamespace.withLock { $0[origin, default: 0] += difference } }
    }

    /// The registry of the first repository that links content is the one whose share it counts for.
    private func link(_ digest: Digest, _ repository: QualifiedRepository) {
        self.shard(repository).repositories.withLock { _ = $0[repository, default: Repository()].contents.insert(digest) }
        let size = self.shard(digest).entries.withLock { entries -> Int64? in
            guard let content = entries[digest], content.origin == nil else { return nil }
            entries[digest]?.origin = repository.namespace
            return content.size
        }
        if let size {
            self.sharesByNamespace.withLock { $0[repository.namespace, default: 0] += size }
        }
    }

    // MARK: - Snapshot

    /// Every record that makes up the present state, shard by shard: what changes meanwhile may be in it or not.
    package func snapshot(_ emit: (JournalRecord) throws -> Void) throws {
        for shard in self.contents {
            let entries = shard.entries.withLock { Array($0) }
            for (digest, content) in entries {
                if let facts = content.manifest {
                    try emit(.manifest(digest, facts, size: content.size, repository: nil, at: content.storedAt))
                } else {
                    try emit(.blob(digest, size: content.size, repository: nil, at: content.storedAt))
                }
                if content.usedAt > 0 { try emit(.use(digest, at: content.usedAt)) }
            }
        }
        // The first link decides for whose share content counts, so those of its own registry come first.
        for isOrigin in [true, false] {
            for shard in self.repositories {
                let repositories = shard.repositories.withLock { Array($0) }
                for (name, repository) in repositories {
                    for digest in repository.contents where (self.content(digest)?.origin == name.namespace) == isOrigin {
                        try emit(.link(digest, name))
                    }
                    if isOrigin { continue }
                    for (tag, entry) in repository.tags {
                        try emit(.tag(tag, name, entry.digest, fetchedAt: entry.fetchedAt))
                    }
                }
            }
        }
        for record in self.unknown.withLock({ $0 }) { try emit(record) }
    }
}
