import OCI
import Synchronization

/// What is stored, in memory: content by digest, names by repository. Replayed from the journal at the start.
///
/// Split into shards with a lock each, so that a hit on one event loop never waits for another and nothing ever copies
/// the whole. Every method is a few dictionary operations, but for those that say otherwise: safe to call on an event loop.
///
/// Nearly all content belongs to one repository, so that repository's number stands in the entry itself; what several
/// hold is in a table of its own. That keeps a blob at about 150 bytes.
package final class Catalog: Sendable {
    package struct Content: Hashable, Sendable {
        /// Bytes.
        package let size: Int64
        /// Unix seconds at which it was stored.
        package let storedAt: Int64
        package let manifest: ManifestFacts?
        /// Unix seconds of the last pull, for manifests; 0 when there was none.
        package let usedAt: Int64
        /// How often it was sent to clients, for manifests of images.
        package let pulls: Int64
    }

    package struct TagEntry: Hashable, Sendable {
        package let digest: Digest
        /// When the upstream last confirmed it, in Unix seconds of the wall clock.
        package let fetchedAt: Int64
        /// The same on this process's monotonic clock; nil when an earlier process was told.
        package let confirmedAt: ContinuousClock.Instant?
        /// Whether it came in a bundle and no upstream has said anything of it since.
        package var isImported = false
    }

    fileprivate struct Entry {
        var size: Int64
        var storedAt: UInt32
        /// The number of the first repository that holds it; 0 when none does.
        var home: UInt32
        var manifest: StoredManifest?
    }

    fileprivate struct ContentTable {
        var entries: [Digest: Entry] = [:]
        /// Further repositories of content that several hold, and those of content that is yet to come.
        var more: [Digest: Set<UInt32>] = [:]
    }

    private final class ContentShard: Sendable {
        let table = Mutex(ContentTable())
    }

    private let contents: [ContentShard]
    private let repositories = RepositoryTable()
    private let unknown = Mutex<[JournalRecord]>([])
    /// Content whose removal has begun and not ended, and the repositories that held it.
    private let removals = Mutex<[Digest: [QualifiedRepository]]>([:])
    private let totals = Mutex(Totals())
    /// How often something was pinned or a tag was set to something else.
    private let pins = Atomic<Int>(0)

    package struct Totals: Hashable, Sendable {
        package var blobs = 0
        /// Bytes of content.
        package var bytes: Int64 = 0
        /// Bytes that the content takes on the disk.
        package var allocated: Int64 = 0
    }

    package init() {
        self.contents = (0..<64).map { _ in ContentShard() }
    }

    private func shard(_ digest: Digest) -> ContentShard { self.contents[digest.shardHint & 63] }

    // MARK: - Questions

    package func content(_ digest: Digest) -> Content? {
        self.shard(digest).table.withLock { $0.entries[digest] }.map { self.describe($0) }
    }

    /// As `content`, for those who only want to know whether there is any.
    package func contains(_ digest: Digest) -> Bool { self.shard(digest).table.withLock { $0.entries[digest] != nil } }

    /// Bytes of stored content.
    package func size(of digest: Digest) -> Int64? { self.shard(digest).table.withLock { $0.entries[digest]?.size } }

    private func describe(_ entry: Entry) -> Content {
        Content(
            size: entry.size, storedAt: Int64(entry.storedAt), manifest: entry.manifest?.facts,
            usedAt: entry.manifest?.usedAt ?? 0, pulls: entry.manifest?.pullCount ?? 0)
    }

    /// Where content was pulled first; its bytes count for that registry's cap.
    package func origin(of digest: Digest) -> Namespace? {
        self.shard(digest).table.withLock { $0.entries[digest]?.home }.flatMap { self.repositories.name($0)?.namespace }
    }

    package func tag(_ tag: Tag, in repository: QualifiedRepository) -> TagEntry? {
        self.repositories.known(repository)?.withLock { $0.tags[tag] }
    }

    package func holds(_ digest: Digest, in repository: QualifiedRepository) -> Bool {
        guard let number = self.number(of: repository) else { return false }
        return self.shard(digest).table.withLock { table in
            table.entries[digest]?.home == number || table.more[digest]?.contains(number) == true
        }
    }

    /// The repositories that hold content.
    package func repositories(holding digest: Digest) -> [QualifiedRepository] {
        self.shard(digest).table.withLock { $0.holders(digest) }.compactMap { self.repositories.name($0) }
    }

    /// The number by which `forEachHolder` means a repository; never 0.
    package func number(of repository: QualifiedRepository) -> UInt32? {
        self.repositories.known(repository)?.number
    }

    package func tags(in repository: QualifiedRepository) -> [Tag: TagEntry] {
        self.repositories.known(repository)?.withLock { $0.tags } ?? [:]
    }

    /// What is pinned in a repository, and since when (Unix seconds).
    package func pins(in repository: QualifiedRepository) -> [Reference: Int64] {
        self.repositories.known(repository)?.withLock { $0.pins } ?? [:]
    }

    /// Changes whenever something may be pinned that was not before: by a pin, or by a tag that moved.
    var pinCount: Int { self.pins.load(ordering: .relaxed) }

    /// The stored manifests of a repository.
    package func manifests(of repository: QualifiedRepository) -> Set<Digest> {
        self.repositories.known(repository)?.withLock { $0.manifests } ?? []
    }

    /// Whether a repository holds anything.
    package func isHeld(_ repository: QualifiedRepository) -> Bool {
        self.repositories.known(repository)?.withLock { $0.members > 0 } ?? false
    }

    /// Everything that a repository holds, also what is yet to come. Looks at every blob of the store: not for event loops.
    package func contents(of repository: QualifiedRepository) -> Set<Digest> {
        guard let number = self.number(of: repository) else { return [] }
        var found: Set<Digest> = []
        for shard in self.contents {
            shard.table.withLock { table in
                for (digest, entry) in table.entries where entry.home == number { found.insert(digest) }
                for (digest, numbers) in table.more where numbers.contains(number) { found.insert(digest) }
            }
        }
        return found
    }

    /// What a stored manifest of the repository says that absent content measures, in bytes; nil when none mentions it. Looks at all of
    /// the repository's manifests: not for event loops.
    package func expectedSize(of digest: Digest, in repository: QualifiedRepository) -> Int64? {
        for parent in self.manifests(of: repository) {
            if let edge = self.content(parent)?.manifest?.child(digest) { return edge.size }
        }
        return nil
    }

    /// The repositories that have a tag, a pin or content.
    package var allRepositories: [QualifiedRepository] { self.repositories.all.map(\.name) }

    package var repositoryCount: Int { self.repositories.count }

    /// Content whose removal has begun and not ended, with the repositories that held it.
    package var openRemovals: [Digest: [QualifiedRepository]] { self.removals.withLock { $0 } }

    /// Whether the removal of content has begun and not ended.
    package func isBeingRemoved(_ digest: Digest) -> Bool { self.removals.withLock { $0[digest] != nil } }

    package var total: Totals { self.totals.withLock { $0 } }

    /// Bytes on the disk of what was pulled first from this registry.
    package func share(of namespace: Namespace) -> Int64 { self.repositories.share(of: namespace) }

    // MARK: - Changes

    /// Notes that a manifest was pulled at this moment (Unix seconds).
    ///
    /// - Returns: what the journal is to be told, at most once an hour.
    func noteUse(of digest: Digest, at time: Int64) -> JournalRecord? {
        guard let manifest = self.shard(digest).table.withLock({ $0.entries[digest]?.manifest }), manifest.noteUse(at: time)
        else { return nil }
        return .use(digest, at: time, pulls: manifest.pullCount)
    }

    /// Counts pulls of a manifest; false when it is not here.
    func notePull(of digest: Digest, count: Int64) -> Bool {
        guard let manifest = self.shard(digest).table.withLock({ $0.entries[digest]?.manifest }) else { return false }
        manifest.notePull(count: count)
        return true
    }

    /// The pulls that the journal does not know yet; asked twice, they are said once. Not for event loops.
    func takeUntoldPulls() -> [JournalRecord] {
        self.contents.flatMap { shard in
            shard.table.withLock { table in
                table.entries.compactMap { digest, entry in
                    guard let manifest = entry.manifest, manifest.noteTold() else { return nil }
                    return .use(digest, at: manifest.usedAt, pulls: manifest.pullCount)
                }
            }
        }
    }

    /// Takes a record in. Doing so twice changes nothing.
    package func apply(_ record: JournalRecord, receivedAt: ContinuousClock.Instant? = nil) {
        switch record {
        case .blob(let digest, let size, let repository, let at):
            self.store(digest, size: size, at: at, facts: nil, in: repository)
        case .manifest(let digest, let facts, let size, let repository, let at):
            self.store(digest, size: size, at: at, facts: facts, in: repository)
        case .link(let digest, let repository):
            self.link(digest, repository)
        case .unlink(let digest, let repository):
            self.unlink(digest, repository)
        case .tag(let tag, let repository, let digest, let fetchedAt):
            let entry = TagEntry(digest: digest, fetchedAt: fetchedAt, confirmedAt: receivedAt)
            self.grow(repository) { known in
                if !known.pins.isEmpty, known.tags[tag]?.digest != digest { self.pins.add(1, ordering: .relaxed) }
                known.tags[tag] = entry
            }
        case .importedTag(let tag, let repository, let digest, let at):
            let entry = TagEntry(digest: digest, fetchedAt: at, confirmedAt: nil, isImported: true)
            self.grow(repository) { known in
                if !known.pins.isEmpty, known.tags[tag]?.digest != digest { self.pins.add(1, ordering: .relaxed) }
                known.tags[tag] = entry
            }
        case .untag(let tag, let repository):
            self.shrink(repository) { $0.tags[tag] = nil }
        case .pin(let reference, let repository, let at):
            self.pins.add(1, ordering: .relaxed)
            self.grow(repository) { $0.pins[reference] = at }
        case .unpin(let reference, let repository):
            self.shrink(repository) { $0.pins[reference] = nil }
        case .use(let digest, let at, let pulls):
            self.shard(digest).table.withLock { $0.entries[digest]?.manifest?.use(at: at, pulls: pulls) }
        case .delete(let digest):
            let holders = self.remove(digest)
            // Said twice, the first holds: by the second time nobody has the content.
            self.removals.withLock { removals in
                let known = removals[digest] ?? []
                removals[digest] = known + holders.filter { !known.contains($0) }
            }
        case .deleted(let digest):
            self.remove(digest)
            self.removals.withLock { _ = $0.removeValue(forKey: digest) }
        case .unknown:
            self.unknown.withLock { records in
                if !records.contains(record) { records.append(record) }
            }
        }
    }

    /// Changes what is known of a repository, which is made when it is missing.
    private func grow(_ repository: QualifiedRepository, _ body: (inout RepositoryTable.Contents) -> Void) {
        self.repositories.change(self.repositories.entry(repository), body)
    }

    /// Changes what is known of a repository, if anything is.
    private func shrink(_ repository: QualifiedRepository, _ body: (inout RepositoryTable.Contents) -> Void) {
        guard let entry = self.repositories.known(repository) else { return }
        self.repositories.change(entry, body)
    }

    private func store(_ digest: Digest, size: Int64, at: Int64, facts: ManifestFacts?, in repository: QualifiedRepository?) {
        let holder = repository.map { self.repositories.entry($0) }
        let number = holder?.number
        // What is known stays known: a second line of the same content only adds.
        let change = self.shard(digest).table.withLock { table -> (old: Entry?, new: Entry, joins: Bool, holders: [UInt32]) in
            var new = Entry(
                size: size, storedAt: UInt32(clamping: at), home: number ?? 0, manifest: facts.map { StoredManifest($0) })
            // Nearly every line of a journal is the first of its content: one look-up does.
            let old = table.entries.updateValue(new, forKey: digest)
            if old == nil, table.more.isEmpty || table.more[digest] == nil { return (nil, new, number != nil, []) }
            new.storedAt = old?.storedAt ?? new.storedAt
            new.home = old?.home ?? 0
            new.manifest = old?.manifest ?? new.manifest
            table.entries[digest] = new
            if old == nil { table.settle(digest) }
            let joins = number.map { table.join(digest, $0) } ?? false
            // Who held it while it was not known to be a manifest, or was still to come.
            let isNews = new.manifest != nil && old?.manifest == nil && (old != nil || table.more[digest] != nil)
            let holders = isNews ? table.holders(digest) : []
            return (old, table.entries[digest] ?? new, joins, holders)
        }
        self.count(old: change.old, new: change.new, holder)
        if change.old == nil {
            self.removals.withLock { removals in
                if !removals.isEmpty { removals[digest] = nil }
            }
        }
        if let holder, change.joins {
            let isManifest = change.new.manifest != nil
            self.repositories.change(holder) { entry in
                entry.members += 1
                if isManifest { entry.manifests.insert(digest) }
            }
        }
        for other in change.holders.compactMap({ self.repositories.entry($0) }) where !(change.joins && other === holder) {
            self.repositories.change(other) { $0.manifests.insert(digest) }
        }
    }

    /// The registry of the first repository that links content is the one whose share it counts for.
    private func link(_ digest: Digest, _ repository: QualifiedRepository) {
        let holder = self.repositories.entry(repository)
        let number = holder.number
        let (old, new, joins) = self.shard(digest).table.withLock { table in
            let old = table.entries[digest]
            if let home = old?.home, home != 0 {
                return (old, old, home != number && table.more[digest, default: []].insert(number).inserted)
            }
            let joins = table.join(digest, number)
            return (old, table.entries[digest], joins)
        }
        guard joins else { return }
        if old?.home != new?.home { self.count(old: old, new: new) }
        self.repositories.change(holder) { entry in
            entry.members += 1
            if new?.manifest != nil { entry.manifests.insert(digest) }
        }
    }

    private func unlink(_ digest: Digest, _ repository: QualifiedRepository) {
        guard let holder = self.repositories.known(repository) else { return }
        let number = holder.number
        let (old, new, left) = self.shard(digest).table.withLock { table in
            let old = table.entries[digest]
            let left = table.leave(digest, number)
            return (old, table.entries[digest], left)
        }
        guard left else { return }
        self.count(old: old, new: new)
        self.shrink(repository) { entry in
            entry.members -= 1
            entry.manifests.remove(digest)
        }
    }

    @discardableResult
    private func remove(_ digest: Digest) -> [QualifiedRepository] {
        let (old, holders) = self.shard(digest).table.withLock { table in
            let holders = table.holders(digest)
            table.more[digest] = nil
            return (table.entries.removeValue(forKey: digest), holders)
        }
        self.count(old: old, new: nil)
        let names = holders.compactMap { self.repositories.name($0) }
        for name in names {
            self.shrink(name) { entry in
                entry.members -= 1
                entry.manifests.remove(digest)
            }
        }
        return names
    }

    /// - Parameter holder: the entry of the new one's home, where the caller has it at hand.
    private func count(old: Entry?, new: Entry?, _ holder: RepositoryTable.Entry? = nil) {
        let before = old.map { DiskSpace.allocated($0.size) } ?? 0
        let after = new.map { DiskSpace.allocated($0.size) } ?? 0
        self.totals.withLock { totals in
            totals.blobs += (new == nil ? 0 : 1) - (old == nil ? 0 : 1)
            totals.bytes += (new?.size ?? 0) - (old?.size ?? 0)
            totals.allocated += after - before
        }
        let (from, to) = (old?.home ?? 0, new?.home ?? 0)
        if from == to {
            self.repositories.add(after - before, to: from)
        } else {
            self.repositories.add(-before, to: from)
            if let holder, holder.number == to {
                self.repositories.add(after, to: holder)
            } else {
                self.repositories.add(after, to: to)
            }
        }
    }

    // MARK: - Snapshot

    /// Every record that makes up the present state, shard by shard: what changes meanwhile may be in it or not.
    package func snapshot(_ emit: (JournalRecord) throws -> Void) throws {
        for shard in self.contents {
            let entries = shard.table.withLock { Array($0.entries) }
            for (digest, entry) in entries {
                let home = self.repositories.name(entry.home)
                guard let manifest = entry.manifest else {
                    try emit(.blob(digest, size: entry.size, repository: home, at: Int64(entry.storedAt)))
                    continue
                }
                try emit(.manifest(digest, manifest.facts, size: entry.size, repository: home, at: Int64(entry.storedAt)))
                let pulls = manifest.pullCount
                if manifest.usedAt > 0 || pulls > 0 { try emit(.use(digest, at: manifest.usedAt, pulls: pulls)) }
            }
        }
        // After all content: a link before its content would only wait for it.
        for shard in self.contents {
            for (digest, numbers) in shard.table.withLock({ Array($0.more) }) {
                for name in numbers.compactMap({ self.repositories.name($0) }) { try emit(.link(digest, name)) }
            }
        }
        for repository in self.repositories.all {
            let (tags, pins) = repository.withLock { ($0.tags, $0.pins) }
            for (tag, entry) in tags {
                let record: JournalRecord =
                    entry.isImported
                    ? .importedTag(tag, repository.name, entry.digest, at: entry.fetchedAt)
                    : .tag(tag, repository.name, entry.digest, fetchedAt: entry.fetchedAt)
                try emit(record)
            }
            for (reference, at) in pins { try emit(.pin(reference, repository.name, at: at)) }
        }
        for (digest, holders) in self.openRemovals {
            for name in holders { try emit(.link(digest, name)) }
            try emit(.delete(digest))
        }
        for record in self.unknown.withLock({ $0 }) { try emit(record) }
    }

    /// Calls `body` with all content and who holds it, shard by shard, until it says false. Not for event loops.
    func forEachHolding(_ body: (Digest, [QualifiedRepository]) -> Bool) {
        for shard in self.contents {
            let holdings = shard.table.withLock { table in table.entries.keys.map { ($0, table.holders($0)) } }
            for (digest, numbers) in holdings {
                guard body(digest, numbers.compactMap { self.repositories.name($0) }) else { return }
            }
        }
    }

    /// Calls `body` with all content and the numbers of the repositories that hold it, shard by shard: the first of them, 0 when there is
    /// none, and the others. Not for event loops.
    package func forEachHolder(_ body: (Digest, Content, _ first: UInt32, _ others: Set<UInt32>) -> Void) {
        for shard in self.contents {
            let (entries, more) = shard.table.withLock { (Array($0.entries), $0.more) }
            for (digest, entry) in entries {
                body(digest, self.describe(entry), entry.home, more.isEmpty ? [] : more[digest] ?? [])
            }
        }
    }

    /// The latest time that any content says, in Unix seconds; 0 when there is none. Not for event loops.
    package var newestTime: Int64 { self.newestTime(before: .max) }

    /// As `newestTime`, of the times that are earlier than a moment.
    func newestTime(before end: Int64) -> Int64 {
        var newest: Int64 = 0
        self.forEachContent { _, content, _ in
            for time in [content.storedAt, content.usedAt] where time < end { newest = max(newest, time) }
        }
        return newest
    }

    /// Calls `body` with all content and its origin, shard by shard. Not for event loops.
    package func forEachContent(_ body: (Digest, Content, _ origin: Namespace?) throws -> Void) rethrows {
        for shard in self.contents {
            for (digest, entry) in shard.table.withLock({ Array($0.entries) }) {
                try body(digest, self.describe(entry), self.repositories.name(entry.home)?.namespace)
            }
        }
    }
}

extension Catalog.ContentTable {
    /// Notes that a repository holds content; false when it is known.
    fileprivate mutating func join(_ digest: Digest, _ number: UInt32) -> Bool {
        if let home = self.entries[digest]?.home {
            if home == number { return false }
            if home == 0 {
                self.entries[digest]?.home = number
                return true
            }
        }
        return self.more[digest, default: []].insert(number).inserted
    }

    /// Notes that a repository holds content no longer; false when it did not.
    fileprivate mutating func leave(_ digest: Digest, _ number: UInt32) -> Bool {
        if self.entries[digest]?.home == number {
            self.entries[digest]?.home = 0
            self.settle(digest)
            return true
        }
        let left = self.more[digest]?.remove(number) != nil
        if self.more[digest]?.isEmpty == true { self.more[digest] = nil }
        return left
    }

    /// Gives content without a home to the first of the others that hold it.
    fileprivate mutating func settle(_ digest: Digest) {
        guard self.entries[digest]?.home == 0, let first = self.more[digest]?.min() else { return }
        self.entries[digest]?.home = first
        self.more[digest]?.remove(first)
        if self.more[digest]?.isEmpty == true { self.more[digest] = nil }
    }

    fileprivate func holders(_ digest: Digest) -> [UInt32] {
        let home = self.entries[digest].map(\.home) ?? 0
        return (home == 0 ? [] : [home]) + (self.more[digest] ?? [])
    }
}
