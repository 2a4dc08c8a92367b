import Glibc
import OCI

/// What `amargo verify --repair` and the scrub do to a store: each call mends one thing, and may find it mended already. All block.
extension ContentStore {
    /// The store's folder, to be looked at.
    package var folder: StoreRoot { self.root }

    /// When this process last hashed content; nil when it has not.
    package func lastCheck(of digest: Digest) -> ContinuousClock.Instant? { self.checker.lastCheck(of: digest) }

    /// Notes that somebody hashed content and found it right.
    package func noteCheck(of digest: Digest) { self.checker.note(digest) }

    /// Content that lies in a shard and is known.
    package func storedDigests(in algorithm: Digest.Algorithm, _ shard: UInt8) throws -> [Digest] {
        try self.root.entries(of: StoreLayout.shard(algorithm, shard)).compactMap { name in
            Digest(algorithm, hex: Array(name.utf8)).flatMap { self.catalog.contains($0) ? $0 : nil }
        }
    }

    /// As `quarantine`, unless another file has taken the damaged one's place meanwhile.
    ///
    /// - Returns: false when that is so.
    @discardableResult
    package func quarantine(_ digest: Digest, unlessReplaced file: BlobFile) throws -> Bool {
        guard let there = try self.root.status(of: StoreLayout.blob(digest)), there.inode == file.inode else { return false }
        self.quarantine(digest)
        return true
    }

    /// Takes in content whose file somebody has just hashed.
    package func adopt(_ digest: Digest, verified file: BlobFile) throws {
        guard self.catalog.content(digest) == nil else { return }
        let facts = try Self.manifestFacts(of: file.content)
        let size = file.content.size
        self.take(digest, facts, size: size, in: nil)
    }

    private func take(
        _ digest: Digest, _ facts: ManifestFacts?, size: Int64, in repository: QualifiedRepository?, at: Int64? = nil
    ) {
        let at = at ?? self.now()
        let record: JournalRecord =
            if let facts {
                .manifest(digest, facts, size: size, repository: repository, at: at)
            } else {
                .blob(digest, size: size, repository: repository, at: at)
            }
        self.checker.note(digest)
        self.catalog.apply(record)
        self.journal.note(record)
        for repository in self.catalog.repositories(holding: digest) { self.layouts.note(digest, in: repository) }
    }

    /// Puts back a blob whose name is gone while a layout still has a link to it, after hashing that; false when there is none.
    package func restore(_ digest: Digest) throws -> Bool {
        guard let content = self.catalog.content(digest) else { return false }
        for repository in self.catalog.repositories(holding: digest) {
            let link = StoreLayout.layoutBlob(digest, in: repository)
            guard let status = try self.root.status(of: link), status.isRegular, status.size == content.size else { continue }
            let file = try BlobFile(opening: link, in: self.root)
            guard try file.content.digest(digest.algorithm).digest() == digest else { continue }
            let outcome = try self.gate.publishing { try self.root.link(link, to: StoreLayout.blob(digest)) }
            try self.root.synchronizeDirectory(StoreLayout.shard(of: digest))
            if outcome != .unsupported { return true }
        }
        return false
    }

    /// Whether the store's file system knows hard links: tried with a small file that is always there.
    package func canLink() throws -> Bool {
        guard let probe = StoreLayout.found(".link", in: StoreLayout.spool) else { return false }
        try self.root.remove(probe)
        defer {
            // What stays is removed at the next start, as everything else in spool/.
            try? self.root.remove(probe)
        }
        return try self.root.link(StoreLayout.storeFile, to: probe) != .unsupported
    }

    /// Replaces what the catalog says of a manifest by what its bytes say; the bytes have just been hashed.
    package func correct(_ digest: Digest, to facts: ManifestFacts) throws {
        self.gate.removing {
            guard let content = self.catalog.content(digest) else { return }
            let holders = self.catalog.repositories(holding: digest)
            // What is known stays known, so it is forgotten first.
            self.forget(digest)
            self.take(digest, facts, size: content.size, in: holders.first, at: content.storedAt)
            for repository in holders.dropFirst() { self.link(digest, to: repository) }
            guard content.usedAt > 0 || content.pulls > 0 else { return }
            let use = JournalRecord.use(digest, at: content.usedAt, pulls: content.pulls)
            self.catalog.apply(use)
            self.journal.note(use)
        }
    }

    /// Removes the layout's links that are not what they should be, and writes it anew.
    package func rebuildLayout(of repository: QualifiedRepository, _ condition: LayoutCondition) throws {
        try self.gate.removing {
            for digest in condition.foreign { try self.root.remove(StoreLayout.layoutBlob(digest, in: repository)) }
            for digest in condition.leftover where !self.catalog.holds(digest, in: repository) {
                try self.root.remove(StoreLayout.layoutBlob(digest, in: repository))
            }
            if condition.version == .outdated || condition.version == .unreadable {
                try self.root.removeIfThere(StoreLayout.layoutFile(repository))
            }
        }
        self.layouts.noteAll(in: repository, and: condition.missing + condition.foreign)
    }

    /// Moves something that is not the store's out of the way, into quarantine.
    package func setAside(_ path: StorePath) throws {
        for number in 1...10_000 {
            guard let target = StoreLayout.stranger(number, path.name) else { return }
            if try self.root.renameExclusively(path, to: target) { return }
        }
        throw StorageError(.io, "\(path) cannot be moved to quarantine: its name is taken too often")
    }

    /// Removes something from `spool/` that no download writes to.
    package func removeLeftover(_ name: SpoolName) throws {
        guard !self.isInUse(name) else { return }
        try self.root.removeIfThere(StoreLayout.spoolEntry(name))
    }

    /// Whether a download of this process writes to it, or one may go on with it.
    package func isInUse(_ name: SpoolName) -> Bool {
        self.writing.digests.contains(name.digest) || self.partials.contains(name.digest)
    }

    /// Makes a folder of the store that is missing.
    package func makeFolder(_ path: StorePath) throws {
        try self.root.makeDirectory(path, mode: path.parent == nil ? 0o700 : 0o755)
        try self.root.synchronizeDirectory(path.parent)
    }
}

/// A blob's file, opened by name, not by what the catalog says: to be hashed.
package struct BlobFile: Sendable {
    package let content: ReadableFile
    package let inode: UInt64

    /// - Throws: `.notFound`, or `.unusable` for what is no regular file. A FIFO does not make it wait.
    package init(opening path: StorePath, in root: StoreRoot) throws {
        let descriptor = try root.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw StorageError(.unusable, "\(path) is no regular file")
        }
        self.content = ReadableFile(descriptor: descriptor, size: Int64(status.st_size))
        self.inode = UInt64(status.st_ino)
    }
}
