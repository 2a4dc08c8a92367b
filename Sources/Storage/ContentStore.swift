import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import Synchronization
import SystemPackage

/// The shelf: verified content by digest, and the names that point to it.
///
/// Questions are answered from memory and may be asked on an event loop. Whatever touches the disk says that it blocks,
/// or takes a completion and does its work on the store's pools.
package final class ContentStore: Sendable {
    package let catalog: Catalog
    package let capacity: CapacityLedger
    package let identity: StoreIdentity
    let root: StoreRoot
    let journal: Journal
    let layouts: LayoutWriter
    let logger: Logger
    let gate = PublishingGate()
    let writing = WritingTable()
    let quarantined: Quarantine
    /// Nil for a store that is only read.
    private let lock: StoreLock?
    let condition = StoreCondition()
    let counts = StoreCounts()
    private let pools: StorePools
    let files: OpenFileTable
    let now: @Sendable () -> Int64
    let partials = PartialTable()
    /// Content whose file in `blobs/` is damaged and could not be moved.
    private let suspects = Mutex<Set<Digest>>([])
    let checker = HitChecker()
    let retentionClock: RetentionClock
    let spoolNumber: Atomic<UInt64>
    /// The last process was killed, and layouts may lack what it had noted.
    private let needsRelinking: Atomic<Bool>
    /// Registries whose repositories hold only what was given to each of them.
    private let separate = Mutex<Set<Namespace>>([])
    private let layoutWarning = Mutex<ContinuousClock.Instant?>(nil)

    init(
        root: StoreRoot, lock: StoreLock?, identity: StoreIdentity, configuration: StoreConfiguration, catalog: Catalog,
        journal: Journal, pools: StorePools, openFiles: Int, logger: Logger, now: @escaping @Sendable () -> Int64
    ) {
        self.root = root
        self.lock = lock
        self.needsRelinking = Atomic(lock?.wasAbandoned ?? false)
        self.identity = identity
        self.catalog = catalog
        self.journal = journal
        self.pools = pools
        self.files = OpenFileTable(capacity: openFiles)
        self.layouts = LayoutWriter(root: root, catalog: catalog, gate: self.gate)
        let partials = self.partials
        let quarantined = Quarantine(root: root, limit: Quarantine.limit(cap: configuration.maxSize), logger: logger)
        self.quarantined = quarantined
        self.capacity = CapacityLedger(configuration: configuration, catalog: catalog, root: root) {
            DiskSpace.overhead(blobs: catalog.total.blobs, repositories: catalog.repositoryCount) + 2 * journal.size
                + partials.bytes + quarantined.bytes
        }
        self.logger = logger
        self.now = now
        self.retentionClock = RetentionClock(now: now(), newest: configuration.retention.isEmpty ? nil : catalog.newestTime)
        self.spoolNumber = Atomic(UInt64(getpid()) << 32)
        self.capacity.evict { [weak self] bytes, namespace in self?.makeRoom(bytes, of: namespace) ?? 0 }
    }

    /// Where the store is, and the caps in force.
    package var configuration: StoreConfiguration { self.capacity.configuration }

    /// Puts other caps in force for what comes from now on; the store stays where it is. Blocks.
    package func use(_ configuration: StoreConfiguration) {
        var configuration = configuration
        configuration.path = self.configuration.path
        if !configuration.retention.isEmpty { self.retentionClock.begin { self.catalog.newestTime(before: $0) } }
        self.quarantined.use(limit: Quarantine.limit(cap: configuration.maxSize))
        self.capacity.configuration = configuration
    }

    /// Why the store cannot remember anything at present; nil when all is well.
    package var degradation: String? { self.condition.reason ?? self.journal.failure?.message }

    /// Whether nothing can be changed here: another process may hold the store, and the disk may be read-only.
    package var isReadOnly: Bool { self.lock == nil }

    /// A socket in the store's folder on which its holder is asked to change things.
    package func listenForCommands() throws -> CInt { try self.root.listen(on: StoreLayout.socket) }

    /// Takes that socket's name away.
    package func stopListening() {
        try? self.root.remove(StoreLayout.socket)  // best effort: one without a listener is replaced
    }

    /// Notes that storing failed, so that `degradation` says so until something is stored again. A cap that is reached is no failure.
    package func noteFailure(_ error: StorageError) {
        guard error.errno != nil else { return }
        self.condition.fail("storing fails: \(error.message)")
        self.counts.noteFailure()
    }

    /// Takes note of whether the store's folder is still where it was. Blocks.
    ///
    /// One that was removed, or whose disk was unmounted, is never made anew on the disk below: nothing is stored until it is back.
    package func watchFolder() {
        guard !self.isReadOnly else { return }
        if self.isGone {
            guard !self.condition.isStanding else { return }
            let reason = "the store's folder \(self.configuration.path) is gone"
            self.condition.stand(reason)
            self.capacity.close(for: StorageError(.unusable, reason))
            self.logger.error("\(reason): what is pulled is passed on without being stored until it is back")
        } else if self.condition.isStanding {
            self.recall()
            self.condition.stand(nil)
            self.capacity.close(for: nil)
            self.logger.notice("The store's folder \(self.configuration.path) is back")
        }
    }

    /// Whether the path no longer leads to the folder that was opened.
    private var isGone: Bool { !self.root.isInPlace }

    /// Bytes of the journal on disk.
    package var journalSize: Int64 { self.journal.size }

    // MARK: - Reading

    /// The opened file of stored content, if it is at hand without any system call.
    ///
    /// One that somebody shortened meanwhile is let go of: opening it again finds out, and sends it to quarantine.
    package func openFile(_ digest: Digest) -> ReadableFile? {
        guard let file = self.files.file(digest) else { return nil }
        if file.currentSize == file.size { return file }
        self.files.remove(digest)
        return nil
    }

    /// Opens stored content on the pool and calls back from there.
    ///
    /// A file that is missing or of another size than the catalog says is taken out of the catalog (the second into
    /// quarantine) and reported as `.notFound`, so that the caller fetches it anew.
    package func open(
        _ digest: Digest, then completion: @escaping @Sendable (Result<ReadableFile, StorageError>) -> Void
    ) {
        self.pools.reading.submit { state in
            guard state == .active else { return completion(.failure(StorageError(.io, "the store is being closed"))) }
            completion(self.openNow(digest))
        }
    }

    /// As `open`, at once. Blocks.
    package func openNow(_ digest: Digest) -> Result<ReadableFile, StorageError> {
        if let file = self.openFile(digest) { return .success(file) }
        guard let content = self.catalog.content(digest) else {
            return .failure(StorageError(.notFound, "\(digest) is not stored"))
        }
        do {
            let file = try self.openBlob(digest)
            guard file.size == content.size else {
                self.logger.error(
                    "A stored blob has the wrong size and goes to quarantine",
                    metadata: ["digest": "\(digest)", "size": "\(file.size)", "expected": "\(content.size)"])
                self.quarantine(digest)
                return .failure(StorageError(.notFound, "\(digest) was damaged"))
            }
            guard try self.check(file, digest) else { return .failure(StorageError(.notFound, "\(digest) was damaged")) }
            self.files.insert(file, for: digest)
            return .success(file)
        } catch let error as StorageError {
            if error.errno == .tooManySymbolicLinkLevels || error.code == .unusable {
                self.logger.error("Something else stands in a stored blob's place", metadata: ["digest": "\(digest)"])
                self.quarantine(digest)
                return .failure(StorageError(.notFound, "\(digest) was replaced"))
            }
            if error.code == .notFound, self.isGone {
                // That one blob is missing says nothing about it; the journal knows it again when the folder is back.
                self.files.remove(digest)
                self.catalog.apply(.deleted(digest))
            } else if error.code == .notFound {
                self.logger.warning("A stored blob is missing from the disk", metadata: ["digest": "\(digest)"])
                self.forget(digest)
            }
            return .failure(error)
        } catch {
            return .failure(StorageError(.io, "\(error)"))
        }
    }

    /// Sees to it that content is hashed once since the start; false when it is damaged, and in quarantine by then.
    private func check(_ file: ReadableFile, _ digest: Digest) throws -> Bool {
        if self.checker.isChecked(digest) { return true }
        if file.size <= HitChecker.immediate {
            guard try self.isIntact(file, digest) else { return false }
            self.checker.note(digest)
        } else if self.checker.enqueue(digest) {
            self.pools.writing.submit { state in
                while state == .active, let digest = self.checker.next() { self.recheck(digest) }
            }
        }
        return true
    }

    private func recheck(_ digest: Digest) {
        do {
            _ = try self.isIntact(try self.openBlob(digest), digest)
        } catch {
            self.checker.forget(digest)
            self.logger.warning("A stored blob could not be checked", metadata: ["digest": "\(digest)", "error": "\(error)"])
        }
    }

    private func isIntact(_ file: ReadableFile, _ digest: Digest) throws -> Bool {
        if try file.digest(digest.algorithm).digest() == digest { return true }
        self.logger.error(
            "A stored blob is damaged and goes to quarantine; it is fetched again when it is asked for",
            metadata: ["digest": "\(digest)"])
        self.quarantine(digest, file: file)
        return false
    }

    private func openBlob(_ digest: Digest) throws -> ReadableFile {
        let descriptor = try self.root.open(StoreLayout.blob(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(descriptor)
            throw StorageError(.unusable, "\(digest) is no regular file in the store")
        }
        return ReadableFile(descriptor: descriptor, size: Int64(status.st_size))
    }

    /// Brings a part of a file into the page cache, off the caller's thread.
    package func readAhead(_ file: ReadableFile, from offset: Int64, count: Int, then completion: @escaping @Sendable () -> Void)
    {
        self.pools.reading.submit { _ in
            file.readAhead(from: offset, count: count)
            completion()
        }
    }

    /// Runs a quick look at the disk on the pool for readers, where nothing waits for a sync.
    package func look(_ work: @escaping @Sendable () -> Void) { self.pools.reading.submit { _ in work() } }

    /// Runs blocking work of a download on the pool for writers.
    package func submit(_ work: @escaping @Sendable () -> Void) {
        let niceness = self.pools.niceness
        self.pools.writing.submit { _ in
            if niceness > 0 { clinux_give_way(niceness) }
            work()
        }
    }

    /// Runs blocking work on the pool for writers and returns what it returns.
    package func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await self.pools.writing.runIfActive(work)
    }

    // MARK: - Storing

    /// Announces content that is on its way, from before room is made for it: what waits for it must not go for it.
    package func expect(_ digest: Digest) -> WriteLease { self.writing.lease(digest) }

    /// Whether an earlier download of this digest left something to go on with.
    package func hasPartial(_ digest: Digest) -> Bool { self.partials.contains(digest) }

    /// Keeps what a download has got so far, if it is worth it. Blocks.
    package func keep(_ writer: consuming BlobWriter) {
        guard writer.byteCount >= PartialTable.minimumSize else { return }
        let digest = writer.digest
        guard let surplus = self.partials.insert(writer.keep(), for: digest) else { return }
        try? self.root.remove(surplus.path)  // best effort: the next start removes it
    }

    /// A spool file for content of this digest: a new one, or what an earlier download left, hashed again. Blocks.
    package func makeWriter(for digest: Digest) throws -> BlobWriter {
        if let partial = self.partials.take(digest) {
            do {
                return try BlobWriter.resuming(digest, at: partial.path, in: self.root, lease: self.writing.lease(digest))
            } catch {
                self.logger.warning(
                    "A partial download cannot be resumed", metadata: ["digest": "\(digest)", "error": "\(error)"])
                try? self.root.remove(partial.path)  // the failure above is the news
            }
        }
        let number = self.spoolNumber.add(1, ordering: .relaxed).newValue
        return try BlobWriter(for: digest, number: number, in: self.root, lease: self.writing.lease(digest))
    }

    /// Makes content durable, visible and known. Blocks.
    ///
    /// - Parameter facts: what it says, when it is a manifest.
    /// - Throws: as `BlobWriter.publish`.
    package func publish(_ writer: consuming BlobWriter, facts: ManifestFacts?, in repository: QualifiedRepository?) throws {
        let digest = writer.digest
        let size = writer.byteCount
        let file = writer.file
        var sealed: BlobWriter? = consume writer
        try sealed?.seal()
        try self.gate.publishing {
            guard let ready = sealed.take() else { return }
            let isSuspect = self.suspects.withLock { $0.contains(digest) }
            let isOurs = try ready.publish(replacing: isSuspect)
            if isSuspect { self.suspects.withLock { _ = $0.remove(digest) } }
            self.didPublish(digest, size: size, facts: facts, in: repository, isHashed: isOurs)
        }
        self.condition.succeed()
        // Followers of the download read this very file.
        self.files.watch(file, for: digest)
    }

    /// Remembers content that `BlobWriter.publish` made durable.
    ///
    /// - Parameter isHashed: whether the file in place is the one that was hashed; else somebody was first, and it is looked at as usual.
    package func didPublish(
        _ digest: Digest, size: Int64, facts: ManifestFacts?, in repository: QualifiedRepository?, isHashed: Bool = true
    ) {
        let record: JournalRecord =
            if let facts {
                .manifest(digest, facts, size: size, repository: repository, at: self.now())
            } else {
                .blob(digest, size: size, repository: repository, at: self.now())
            }
        if isHashed { self.checker.note(digest) }
        self.journal.note([record]) {
            self.catalog.apply(record)
            return true
        }
        // Whoever asked for it while it was being evicted holds it, too.
        for holder in self.catalog.repositories(holding: digest) { self.layouts.note(digest, in: holder) }
        if let repository { self.adoptChildren(of: facts, in: repository) }
    }

    /// A repository whose manifest refers to stored content holds it too, whoever pulled it: an engine that has a shared layer does not
    /// ask for it again, and the repository's layout would lack it.
    func adoptChildren(of facts: ManifestFacts?, in repository: QualifiedRepository) {
        guard !self.separate.withLock({ $0.contains(repository.namespace) }) else { return }
        for edge in facts?.children ?? []
        where self.catalog.contains(edge.digest) && !self.catalog.holds(edge.digest, in: repository)
            && self.mayHave(edge.digest, in: repository)
        {
            self.link(edge.digest, to: repository)
        }
    }

    /// Whether stored content may go to a repository without a question to its registry: it holds it, or it is open content and the
    /// repository's registry an open one. What only registries that are kept apart have given is nobody else's. Never blocks.
    package func mayHave(_ digest: Digest, in repository: QualifiedRepository) -> Bool {
        let separate = self.separate.withLock { $0 }
        if separate.isEmpty || self.catalog.holds(digest, in: repository) { return true }
        guard !separate.contains(repository.namespace) else { return false }
        return self.catalog.repositories(holding: digest).contains { !separate.contains($0.namespace) }
    }

    /// Whether there are registries whose content is not for everybody.
    package var keepsRepositoriesApart: Bool { self.separate.withLock { !$0.isEmpty } }

    /// Of these registries a repository holds nothing but what is stored in it or linked to it: that its manifest names content which
    /// another one has is not enough.
    package func keepRepositoriesApart(in namespaces: Set<Namespace>) { self.separate.withLock { $0 = namespaces } }

    /// Remembers that a repository holds content that is stored already. Never blocks.
    package func link(_ digest: Digest, to repository: QualifiedRepository) {
        guard self.catalog.contains(digest) else { return }
        let record = JournalRecord.link(digest, repository)
        self.catalog.apply(record)
        self.journal.note(record)
        self.layouts.note(digest, in: repository)
    }

    /// Remembers what an upstream just said a tag is. Never blocks.
    ///
    /// Bytes before names: a tag of a manifest that is not stored, or was evicted a moment ago, is not remembered.
    package func setTag(
        _ tag: Tag, in repository: QualifiedRepository, to digest: Digest, confirmedAt: ContinuousClock.Instant = .now
    ) {
        let before = self.catalog.tag(tag, in: repository)?.digest
        let age = max(0, confirmedAt.duration(to: .now).components.seconds)
        let record = JournalRecord.tag(tag, repository, digest, fetchedAt: self.now() - age)
        let isSet = self.journal.note([record]) {
            guard self.catalog.contains(digest) else { return false }
            self.catalog.apply(record, receivedAt: confirmedAt)
            return true
        }
        guard isSet else { return }
        if before != digest { self.layouts.note(nil, in: repository) }
        // A removal that came in between has not seen the tag.
        if !self.catalog.contains(digest) { self.removeTag(tag, in: repository) }
    }

    /// As `setTag`, with no removal in between. Blocks.
    package func setTags(
        _ tags: [(tag: Tag, confirmedAt: ContinuousClock.Instant)], in repository: QualifiedRepository, to digest: Digest
    ) {
        self.gate.publishing {
            for (tag, confirmedAt) in tags { self.setTag(tag, in: repository, to: digest, confirmedAt: confirmedAt) }
        }
    }

    /// Remembers that the upstream has a tag no longer; its content stays.
    package func removeTag(_ tag: Tag, in repository: QualifiedRepository) {
        let record = JournalRecord.untag(tag, repository)
        self.catalog.apply(record)
        self.journal.note(record)
        self.layouts.note(nil, in: repository)
    }

    /// Takes content out of the catalog that is no longer on the disk.
    package func forget(_ digest: Digest) {
        self.files.remove(digest)
        self.checker.forget(digest)
        self.catalog.apply(.deleted(digest))
        self.journal.note(.deleted(digest))
    }

    /// Whatever takes the content's place is looked at again.
    func forgetCheck(of digest: Digest) { self.checker.forget(digest) }

    /// Moves damaged content out of the way, so that it is never served and can be looked at. Blocks.
    ///
    /// - Parameter file: the file that was found damaged; one that has taken its place meanwhile stays. Nil: whatever is there.
    package func quarantine(_ digest: Digest, file: ReadableFile? = nil) {
        guard !self.isReadOnly else {
            self.counts.noteDamage()
            return self.forget(digest)
        }
        self.gate.removing {
            if let file, let there = try? self.root.status(of: StoreLayout.blob(digest)), there.inode != file.inode {
                return self.files.remove(digest).map { _ in () } ?? ()
            }
            let holders = self.catalog.repositories(holding: digest)
            self.forget(digest)
            self.counts.noteDamage()
            for repository in holders {
                // A link that stays is renewed when the content is fetched again.
                try? self.root.removeIfThere(StoreLayout.layoutBlob(digest, in: repository))
                self.layouts.note(nil, in: repository)
            }
            do {
                try self.quarantined.take(digest)
            } catch {
                self.logger.error("A damaged blob could not be moved", metadata: ["digest": "\(digest)", "error": "\(error)"])
                // What is fetched instead must not be taken for it.
                self.suspects.withLock { _ = $0.insert(digest) }
            }
        }
    }

    // MARK: - Adopting

    /// Takes in content that lies under its digest without the catalog knowing, after hashing it. Blocks for as long as that takes.
    ///
    /// - Returns: whether the content is stored now.
    package func adopt(_ digest: Digest, in repository: QualifiedRepository?) -> Bool {
        if self.catalog.contains(digest) { return true }
        guard !self.isReadOnly, !self.condition.isStanding, !self.catalog.isBeingRemoved(digest) else { return false }
        do {
            guard let status = try self.root.status(of: StoreLayout.blob(digest)), status.isRegular else { return false }
            let file = try self.openBlob(digest)
            guard try file.digest(digest.algorithm).digest() == digest else {
                self.logger.error("An unknown blob on the disk is damaged", metadata: ["digest": "\(digest)"])
                self.quarantine(digest, file: file)
                return false
            }
            let facts = try Self.manifestFacts(of: file)
            // Hashing takes its time: a removal may have come and gone meanwhile, and none may come before the entry is there.
            return try self.gate.publishing {
                guard !self.catalog.isBeingRemoved(digest), let now = try self.root.status(of: StoreLayout.blob(digest)),
                    now.inode == status.inode
                else { return false }
                self.take(file, digest, facts, in: repository)
                return true
            }
        } catch {
            self.logger.warning(
                "A blob on the disk could not be adopted", metadata: ["digest": "\(digest)", "error": "\(error)"])
            return false
        }
    }

    private func take(_ file: ReadableFile, _ digest: Digest, _ facts: ManifestFacts?, in repository: QualifiedRepository?) {
        let record: JournalRecord =
            if let facts {
                .manifest(digest, facts, size: file.size, repository: repository, at: self.now())
            } else {
                .blob(digest, size: file.size, repository: repository, at: self.now())
            }
        self.checker.note(digest)
        self.journal.note([record]) {
            self.catalog.apply(record)
            return true
        }
        for holder in self.catalog.repositories(holding: digest) { self.layouts.note(digest, in: holder) }
        if let repository { self.adoptChildren(of: facts, in: repository) }
        self.logger.info("Adopted a blob found on the disk", metadata: ["digest": "\(digest)", "size": "\(file.size)"])
    }

    /// What a file says as a manifest, if it is one beyond doubt; its type is what the document itself declares.
    static func manifestFacts(of file: ReadableFile) throws -> ManifestFacts? {
        guard file.size > 2, file.size <= Int64(Manifest.maximumSize) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(file.size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        guard count == bytes.count, bytes[0] == UInt8(ascii: "{") else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard let type = Manifest.declaredType(of: bytes) else { return nil }
            do {
                return ManifestFacts(try Manifest(parsing: bytes, as: type))
            } catch {
                return nil  // not a manifest after all; it stays an ordinary blob
            }
        }
    }

    /// Brings the layouts up to date that a crash has left behind. Blocks.
    ///
    /// - Parameter isStopped: asked between two blobs.
    func mendLayouts(isStopped: () -> Bool) {
        guard self.needsRelinking.load(ordering: .relaxed), !self.isReadOnly else { return }
        self.layouts.noteAll()
        if self.layouts.relink(isStopped: isStopped) { self.needsRelinking.store(false, ordering: .relaxed) }
    }

    // MARK: - Ending

    /// Writes the layouts that changed. Blocks.
    package func flushLayouts() {
        guard !self.isReadOnly, !self.condition.isStanding else { return }
        let failures = self.layouts.flush()
        guard let (repository, error) = failures.first else { return }
        // They are tried again each second: said once a minute.
        let isNews = self.layoutWarning.withLock { last in
            if let last, last.duration(to: .now) < .seconds(60) { return false }
            last = .now
            return true
        }
        guard isNews else { return }
        self.logger.warning(
            "Image layouts could not be written and will be tried again",
            metadata: ["count": "\(failures.count)", "repository": "\(repository)", "error": "\(error)"])
    }

    /// Writes what is still in memory. Nothing may be stored afterwards.
    package func close() async {
        do {
            try await self.run {
                self.flushLayouts()
                self.notePulls()
            }
        } catch {
            self.logger.warning("Layouts were not written at the end", metadata: ["error": "\(error)"])
        }
        await self.journal.close()
        if !self.needsRelinking.load(ordering: .relaxed), self.layouts.isSettled { self.lock?.noteCleanEnd() }
        self.lock?.release()
    }
}
