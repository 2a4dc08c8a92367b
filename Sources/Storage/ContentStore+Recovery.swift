import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import SystemPackage

extension ContentStore {
    /// Opens a store for writing, creating it when it is missing: lock, journal, and what a crash left behind.
    ///
    /// Costs as much as the journal is long, whatever the store holds; no blob is looked at. Blocks.
    package static func open(
        _ configuration: StoreConfiguration, role: String, pools: StorePools, loop: any EventLoop, openFiles: Int, logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) throws -> ContentStore {
        if let reader = try Self.readOnly(configuration) {
            return Self.serve(reader, configuration, pools: pools, loop: loop, openFiles: openFiles, logger: logger, now: now)
        }
        let (root, lock, identity) = try StoreIdentity.open(at: configuration.path, role: role)
        let catalog = Catalog()
        let journal = try Self.openJournal(root, identity, catalog, pools: pools, loop: loop, logger: logger, now: now)
        let store = ContentStore(
            root: root, lock: lock, identity: identity, configuration: configuration, catalog: catalog, journal: journal,
            pools: pools, openFiles: openFiles, logger: logger, now: now)
        // A replay leaves much free memory behind; the process lives long.
        clinux_trim_memory()
        try store.cleanSpool()
        store.quarantined.trim()
        // What a crash interrupted between "delete" and "deleted".
        store.retryRemovals()
        return store
    }

    /// The store, when it is on a disk that is mounted read-only: it is served without lock and repairs.
    private static func readOnly(_ configuration: StoreConfiguration) throws -> StoreReader? {
        // What cannot be opened at all is reported when it is opened for writing.
        guard let root = try? StoreRoot(opening: configuration.path), root.isReadOnly else { return nil }
        return try StoreReader(opening: configuration.path)
    }

    private static func serve(
        _ reader: StoreReader, _ configuration: StoreConfiguration, pools: StorePools, loop: any EventLoop, openFiles: Int,
        logger: Logger, now: @escaping @Sendable () -> Int64
    ) -> ContentStore {
        let reason = "the store \(configuration.path) is on a disk that is mounted read-only"
        let journal = Journal(
            readOnly: reader.root, storeID: reader.identity.id, reason: reason, size: reader.replay?.size ?? 0,
            pool: pools.journaling, loop: loop, logger: logger)
        let store = ContentStore(
            root: reader.root, lock: nil, identity: reader.identity, configuration: configuration, catalog: reader.catalog,
            journal: journal, pools: pools, openFiles: openFiles, logger: logger, now: now)
        store.condition.stand(reason)
        store.capacity.close(for: StorageError(.readOnly, reason))
        logger.warning("\(reason): it is served as it is, and what it lacks is passed on without being stored")
        return store
    }

    private static func openJournal(
        _ root: StoreRoot, _ identity: StoreIdentity, _ catalog: Catalog, pools: StorePools, loop: any EventLoop, logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) throws -> Journal {
        // A compaction that did not end is never completed: the old file has everything.
        try root.remove(StoreLayout.newJournal)
        var opened: (descriptor: CInt, replay: JournalReplay)?
        do {
            let descriptor = try root.open(StoreLayout.journal, O_RDWR | O_APPEND | O_NOFOLLOW)
            do {
                let replay = try JournalReplay.readAhead(descriptor, store: identity.id) { record, behindGap in
                    catalog.apply(Self.trusted(record, behindGap: behindGap, now: now()))
                }
                if replay.hasRequiredUnknown {
                    throw StorageError(.tooNew, "the journal holds a line that this version of Amargo must not ignore")
                }
                opened = (descriptor, replay)
            } catch {
                Glibc.close(descriptor)
                throw error
            }
        } catch let error as StorageError where error.code == .notFound {
            opened = nil
        }

        if let (descriptor, replay) = opened, let header = replay.header, replay.damage == .none || replay.damage == .tornTail {
            if replay.damage == .tornTail { try Self.cutTornTail(descriptor, replay, in: root, logger: logger) }
            return Journal(
                root: root, storeID: identity.id, descriptor: descriptor, generation: header.generation,
                lastSequence: replay.lastSequence, size: replay.goodEnd, liveSize: header.live, pool: pools.journaling,
                loop: loop,
                logger: logger, snapshot: { try catalog.snapshot($0) })
        }
        return try Self.startAnew(
            after: opened, in: root, identity, catalog, pools: pools, loop: loop, logger: logger)
    }

    /// Reads the journal once more: what was not to be found while the folder was gone is known again. Blocks.
    func recall() {
        do {
            let descriptor = try self.root.open(StoreLayout.journal, O_RDONLY | O_NOFOLLOW)
            defer { Glibc.close(descriptor) }
            _ = try JournalReplay.readAhead(descriptor, store: self.identity.id) { record, behindGap in
                self.catalog.apply(Self.trusted(record, behindGap: behindGap, now: self.now()))
            }
        } catch {
            self.logger.warning("The journal could not be read again", metadata: ["error": "\(error)"])
        }
    }

    /// Times behind a gap are not believed, nor any that lie in the future: such a tag counts as expired, no more.
    private static func trusted(_ record: JournalRecord, behindGap: Bool, now: Int64) -> JournalRecord {
        switch record {
        case .tag(let tag, let repository, let digest, let fetchedAt):
            return .tag(tag, repository, digest, fetchedAt: behindGap ? 0 : min(fetchedAt, now))
        case .importedTag(let tag, let repository, let digest, let at):
            return .importedTag(tag, repository, digest, at: behindGap ? 0 : min(at, now))
        default: return record
        }
    }

    /// Cuts off what a crash left at the end, before the first append: a new line must not be glued to it.
    private static func cutTornTail(
        _ descriptor: CInt, _ replay: JournalReplay, in root: StoreRoot, logger: Logger
    ) throws {
        let length = replay.size - replay.goodEnd
        do {
            try Self.keepTornTail(descriptor, replay, in: root)
        } catch {
            // The copy is for people. A full disk leaves torn tails itself, and must not keep the store from opening.
            logger.warning("The journal's unfinished end could not be kept", metadata: ["error": "\(error)"])
        }
        guard ftruncate(descriptor, off_t(replay.goodEnd)) == 0, fsync(descriptor) == 0 else {
            throw StorageError(.current, "cut the torn end off the journal")
        }
        logger.info("Cut an unfinished write off the journal's end", metadata: ["bytes": "\(length)"])
    }

    private static func keepTornTail(_ descriptor: CInt, _ replay: JournalReplay, in root: StoreRoot) throws {
        var tail = [UInt8](repeating: 0, count: Int(min(replay.size - replay.goodEnd, 64 << 10)))
        let count = pread(descriptor, &tail, tail.count, off_t(replay.goodEnd))
        try root.remove(StoreLayout.tornJournal)
        let torn = try root.open(StoreLayout.tornJournal, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        defer { Glibc.close(torn) }
        guard count > 0 else { return }
        try tail.withUnsafeBytes { bytes in
            try torn.writeAll(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: StoreLayout.tornJournal)
        }
    }

    /// Writes a new journal: the first of a store, or one in place of a damaged file, which is kept aside.
    private static func startAnew(
        after opened: (descriptor: CInt, replay: JournalReplay)?, in root: StoreRoot, _ identity: StoreIdentity,
        _ catalog: Catalog,
        pools: StorePools, loop: any EventLoop, logger: Logger
    ) throws -> Journal {
        var generation: Int64 = 1
        if let (descriptor, replay) = opened {
            Glibc.close(descriptor)
            let old = replay.header?.generation ?? 0
            generation = old + 1
            if replay.size > 0 {
                try JournalCompaction.keepAside(generation: old, in: root)
                logger.warning(
                    "The journal was damaged; what could be read is kept, the rest is adopted from the disk or fetched again",
                    metadata: [
                        "kept": "\(StoreLayout.badJournal(old))", "lines": "\(replay.lineCount)",
                        "skipped": "\(replay.skippedLines)",
                    ])
            }
        }
        if opened == nil || opened?.replay.damage == .unreadable {
            // Nothing could be replayed: the layouts still know the names, if there are any.
            var names = 0
            LayoutReader(root: root).records { record in
                names += 1
                catalog.apply(record)
            }
            if names > 0 { logger.warning("Read names back from the image layouts", metadata: ["records": "\(names)"]) }
        }
        let written = try JournalCompaction.write(in: root, generation: generation, store: identity.id) {
            try catalog.snapshot($0)
        }
        return Journal(
            root: root, storeID: identity.id, descriptor: written.descriptor, generation: generation,
            lastSequence: written.nextSequence - 1, size: written.size, liveSize: written.size, pool: pools.journaling,
            loop: loop,
            logger: logger, snapshot: { try catalog.snapshot($0) })
    }

    /// Removes what earlier processes left in `spool/`, but for what is worth going on with.
    private func cleanSpool() throws {
        for name in try self.root.entries(of: StoreLayout.spool) {
            guard let entry = SpoolName(name) else {
                self.logger.warning("Something in spool/ is not ours and stays", metadata: ["name": "\(name.prefix(200))"])
                continue
            }
            let path = StoreLayout.spoolEntry(entry)
            // What has another name is somebody's file that was about to be linked: never to be written to.
            if let status = try self.root.status(of: path), status.isRegular, status.size >= PartialTable.minimumSize,
                status.linkCount == 1
            {
                let surplus = self.partials.insert(.init(path: path, size: status.size), for: entry.digest)
                if let surplus { try self.root.remove(surplus.path) }
            } else {
                try self.root.remove(path)
            }
        }
    }

    /// Looks for blobs that the journal does not know (a lost line, a copied folder), one after the other. Blocks.
    ///
    /// - Parameter isStopped: asked between two files.
    /// - Returns: how many were adopted.
    package func adoptUnknownBlobs(isStopped: () -> Bool) -> Int {
        var adopted = 0
        guard !self.isReadOnly else { return 0 }
        for algorithm in Digest.Algorithm.allCases {
            for number in UInt8.min...UInt8.max {
                if isStopped() { return adopted }
                let names: [String]
                do {
                    names = try self.root.entries(of: StoreLayout.shard(algorithm, number))
                } catch {
                    self.logger.warning("A folder of blobs could not be listed", metadata: ["error": "\(error)"])
                    continue
                }
                for name in names {
                    guard let digest = Digest(algorithm, hex: Array(name.utf8)), self.catalog.content(digest) == nil else {
                        continue
                    }
                    if isStopped() { return adopted }
                    if self.adopt(digest, in: nil) { adopted += 1 }
                }
            }
        }
        return adopted
    }
}
