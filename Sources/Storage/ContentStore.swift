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
    package let configuration: StoreConfiguration
    package let identity: StoreIdentity
    let root: StoreRoot
    let journal: Journal
    let layouts: LayoutWriter
    let logger: Logger
    private let lock: StoreLock
    private let pools: StorePools
    private let files: OpenFileTable
    private let now: @Sendable () -> Int64
    let partials = PartialTable()
    private let checker = HitChecker()
    private let spoolNumber: Atomic<UInt64>

    init(
        root: StoreRoot, lock: StoreLock, identity: StoreIdentity, configuration: StoreConfiguration, catalog: Catalog,
        journal: Journal, pools: StorePools, openFiles: Int, logger: Logger, now: @escaping @Sendable () -> Int64
    ) {
        self.root = root
        self.lock = lock
        self.identity = identity
        self.configuration = configuration
        self.catalog = catalog
        self.journal = journal
        self.pools = pools
        self.files = OpenFileTable(capacity: openFiles)
        self.layouts = LayoutWriter(root: root, catalog: catalog)
        let partials = self.partials
        self.capacity = CapacityLedger(configuration: configuration, catalog: catalog, root: root) {
            2 * journal.size + partials.bytes
        }
        self.logger = logger
        self.now = now
        self.spoolNumber = Atomic(UInt64(getpid()) << 32)
    }

    /// Why the store cannot remember anything at present; nil when all is well.
    package var degradation: String? { self.journal.failure?.message }

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
            if error.code == .notFound {
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
        self.quarantine(digest)
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

    /// Runs blocking work of a download on the pool for writers.
    package func submit(_ work: @escaping @Sendable () -> Void) {
        self.pools.writing.submit { _ in work() }
    }

    /// Runs blocking work on the pool for writers and returns what it returns.
    package func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await self.pools.writing.runIfActive(work)
    }

    // MARK: - Storing

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
                return try BlobWriter.resuming(digest, at: partial.path, in: self.root)
            } catch {
                self.logger.warning(
                    "A partial download cannot be resumed", metadata: ["digest": "\(digest)", "error": "\(error)"])
                try? self.root.remove(partial.path)  // the failure above is the news
            }
        }
        let number = self.spoolNumber.add(1, ordering: .relaxed).newValue
        return try BlobWriter(for: digest, number: number, in: self.root)
    }

    /// Remembers content that `BlobWriter.publish` made durable.
    ///
    /// - Parameter file: the opened file, if there is one, so that the next hit need not open it.
    package func didPublish(
        _ digest: Digest, size: Int64, facts: ManifestFacts?, in repository: QualifiedRepository, file: ReadableFile? = nil
    ) {
        let record: JournalRecord =
            if let facts {
                .manifest(digest, facts, size: size, repository: repository, at: self.now())
            } else {
                .blob(digest, size: size, repository: repository, at: self.now())
            }
        self.checker.note(digest)
        self.catalog.apply(record)
        self.journal.note(record)
        self.layouts.note(digest, in: repository)
    }

    /// Remembers that a repository holds content that is stored already. Never blocks.
    package func link(_ digest: Digest, to repository: QualifiedRepository) {
        let record = JournalRecord.link(digest, repository)
        self.catalog.apply(record)
        self.journal.note(record)
        self.layouts.note(digest, in: repository)
    }

    /// Remembers what an upstream just said a tag is. The manifest must be stored: bytes before names.
    package func setTag(
        _ tag: Tag, in repository: QualifiedRepository, to digest: Digest, confirmedAt: ContinuousClock.Instant = .now
    ) {
        let before = self.catalog.tag(tag, in: repository)?.digest
        let age = max(0, confirmedAt.duration(to: .now).components.seconds)
        let record = JournalRecord.tag(tag, repository, digest, fetchedAt: self.now() - age)
        self.catalog.apply(record, receivedAt: confirmedAt)
        self.journal.note(record)
        if before != digest { self.layouts.note(nil, in: repository) }
    }

    /// Remembers that the upstream has a tag no longer; its content stays.
    package func removeTag(_ tag: Tag, in repository: QualifiedRepository) {
        let record = JournalRecord.untag(tag, repository)
        self.catalog.apply(record)
        self.journal.note(record)
        self.layouts.note(nil, in: repository)
    }

    /// Remembers that a manifest was pulled, at most once an hour. Never blocks.
    package func noteUse(of digest: Digest, content: Catalog.Content) {
        let now = self.now()
        guard now - content.usedAt >= 3600 || now < content.usedAt else { return }
        let record = JournalRecord.use(digest, at: now)
        self.catalog.apply(record)
        self.journal.note(record)
    }

    /// Takes content out of the catalog that is no longer on the disk.
    package func forget(_ digest: Digest) {
        self.files.remove(digest)
        self.checker.forget(digest)
        self.catalog.apply(.deleted(digest))
        self.journal.note(.deleted(digest))
    }

    /// Moves damaged content out of the way, so that it is never served and can be looked at. Blocks.
    package func quarantine(_ digest: Digest) {
        self.forget(digest)
        do {
            try self.root.rename(StoreLayout.blob(digest), to: StoreLayout.quarantined(digest))
        } catch {
            self.logger.error("A damaged blob could not be moved", metadata: ["digest": "\(digest)", "error": "\(error)"])
        }
    }

    // MARK: - Adopting

    /// Takes in content that lies under its digest without the catalog knowing, after hashing it. Blocks for as long as that takes.
    ///
    /// - Returns: whether the content is stored now.
    package func adopt(_ digest: Digest, in repository: QualifiedRepository?) -> Bool {
        if self.catalog.content(digest) != nil { return true }
        do {
            guard let status = try self.root.status(of: StoreLayout.blob(digest)), status.isRegular else { return false }
            let file = try self.openBlob(digest)
            guard try file.digest(digest.algorithm).digest() == digest else {
                self.logger.error("An unknown blob on the disk is damaged", metadata: ["digest": "\(digest)"])
                self.quarantine(digest)
                return false
            }
            self.checker.note(digest)
            let facts = try Self.manifestFacts(of: file)
            let record: JournalRecord =
                if let facts {
                    .manifest(digest, facts, size: file.size, repository: repository, at: self.now())
                } else {
                    .blob(digest, size: file.size, repository: repository, at: self.now())
                }
            self.catalog.apply(record)
            self.journal.note(record)
            if let repository { self.layouts.note(digest, in: repository) }
            self.logger.info("Adopted a blob found on the disk", metadata: ["digest": "\(digest)", "size": "\(file.size)"])
            return true
        } catch {
            self.logger.warning(
                "A blob on the disk could not be adopted", metadata: ["digest": "\(digest)", "error": "\(error)"])
            return false
        }
    }

    /// What a file says as a manifest, if it is one beyond doubt; its type is what the document itself declares.
    private static func manifestFacts(of file: ReadableFile) throws -> ManifestFacts? {
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

    // MARK: - Ending

    /// Writes the layouts that changed. Blocks.
    package func flushLayouts() {
        for (repository, error) in self.layouts.flush() {
            self.logger.warning(
                "The image layout of a repository could not be written",
                metadata: ["repository": "\(repository)", "error": "\(error)"])
        }
    }

    /// Writes what is still in memory. Nothing may be stored afterwards.
    package func close() async {
        do {
            try await self.run { self.flushLayouts() }
        } catch {
            self.logger.warning("Layouts were not written at the end", metadata: ["error": "\(error)"])
        }
        await self.journal.close()
    }
}
