import CLinux
import Glibc
import OCI
import SystemPackage

/// A blob on its way into the store: a named file in `spool/`, written and hashed in one pass.
///
/// Must end exactly once: `publish` gives it its final name, `ContentStore.keep` leaves it to be resumed, and in every other case
/// the file goes with the value. All calls block: thread pool only.
package struct BlobWriter: ~Copyable {
    /// What the content is said to be; only content with this digest is ever published.
    package let digest: Digest
    /// The same file for those who read it while it grows. The descriptor is another one, opened for reading alone.
    package let file: ReadableFile
    private let root: StoreRoot
    private let path: StorePath
    private let descriptor: CInt
    private var verifier: DigestVerifier
    private var isFinished = false
    private var isSealed = false
    /// Says for as long as the value lives that this content is on its way.
    private let lease: WriteLease?

    /// Bytes that are in the file and in the hash.
    package var byteCount: Int64 { self.verifier.byteCount }

    /// Creates the spool file. It becomes 0444 when it is published, and is never opened for writing after that.
    init(for digest: Digest, number: UInt64, in root: StoreRoot, lease: WriteLease? = nil) throws {
        try self.init(digest, StoreLayout.partial(digest, number), root, flags: O_CREAT | O_EXCL, lease: lease)
    }

    /// Opens what an earlier download left and hashes it again: nothing on the disk is believed.
    static func resuming(
        _ digest: Digest, at path: StorePath, in root: StoreRoot, lease: WriteLease? = nil
    ) throws -> BlobWriter {
        var writer = try BlobWriter(digest, path, root, flags: 0, lease: lease)
        writer.verifier = try writer.file.digest(digest.algorithm)
        return writer
    }

    /// A spool file that is a copy of another file by reference, hashed; nil where the file system has none of these.
    static func cloning(
        _ descriptor: CInt, of digest: Digest, number: UInt64, in root: StoreRoot, lease: WriteLease?
    ) throws -> BlobWriter? {
        var writer = try BlobWriter(for: digest, number: number, in: root, lease: lease)
        guard clinux_clone(writer.descriptor, descriptor) == 0 else { return nil }
        // What the other file becomes from here on is nothing to this one.
        writer.verifier = try writer.file.digest(digest.algorithm)
        return writer
    }

    /// A further name in `spool/` for somebody's file, hashed when nobody can write to it any more; nil when it cannot be had so.
    static func linking(
        _ descriptor: CInt, of digest: Digest, number: UInt64, in root: StoreRoot, lease: WriteLease?
    ) throws -> BlobWriter? {
        // Another owner could make it writable again, whatever this one does.
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid() else { return nil }
        let path = StoreLayout.partial(digest, number)
        guard try root.link(descriptor: descriptor, to: path) else { return nil }
        var writer: BlobWriter
        do {
            writer = try BlobWriter(digest, path, root, access: O_RDONLY, lease: lease)
        } catch {
            try? root.remove(path)  // the failure above is the news
            throw error
        }
        // Nobody opens it for writing from here on, and a lease is to be had only when nobody has it open so.
        guard fchmod(writer.descriptor, 0o444) == 0, clinux_has_no_writers(writer.descriptor) == 1 else { return nil }
        writer.verifier = try writer.file.digest(digest.algorithm)
        return writer
    }

    private init(
        _ digest: Digest, _ path: StorePath, _ root: StoreRoot, flags: CInt = 0, access: CInt = O_RDWR, lease: WriteLease?
    ) throws {
        let descriptor = try root.open(path, access | O_NOFOLLOW | flags, mode: 0o600)
        do {
            self.file = ReadableFile(descriptor: try root.open(path, O_RDONLY | O_NOFOLLOW), size: 0)
        } catch {
            close(descriptor)
            try? root.remove(path)  // the failed open is the news
            throw error
        }
        self.digest = digest
        self.lease = lease
        self.root = root
        self.path = path
        self.descriptor = descriptor
        self.verifier = DigestVerifier(digest.algorithm)
    }

    deinit {
        close(self.descriptor)
        if !self.isFinished {
            try? self.root.remove(self.path)  // best effort: what is left in `spool/` goes at the next start
        }
    }

    /// Appends and hashes. After a failure `byteCount` still says exactly what file and hash hold alike.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while rest.count > 0 {
            let count = pwrite(self.descriptor, rest.baseAddress, rest.count, off_t(self.byteCount))
            if count < 0 {
                if Errno.current == .interrupted { continue }
                throw StorageError(.current, "write to the store")
            }
            self.verifier.update(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// The digest of what has been appended.
    package func currentDigest() -> Digest { self.verifier.digest() }

    /// The hash so far, for a reader that goes on without this file.
    package func verifierCopy() -> DigestVerifier { self.verifier.copy() }

    /// Leaves the file where it is, for a later download to go on with.
    consuming func keep() -> PartialTable.Entry {
        self.isFinished = true
        return PartialTable.Entry(path: self.path, size: self.byteCount)
    }

    /// Makes the bytes durable and immutable, under the name they have in `spool/`.
    ///
    /// - Throws: when the content is not its digest, or a call failed. A file whose sync failed is dead (its pages may turn
    ///   wrong later): whoever still reads `file` must be cut.
    package mutating func seal() throws {
        guard !self.isSealed else { return }
        guard self.verifier.digest() == self.digest else {
            throw StorageError(.digestMismatch, "the content is not \(self.digest)")
        }
        // Any user of this host may read what is stored; nobody may change it.
        guard fchmod(self.descriptor, 0o444) == 0 else { throw StorageError(.current, "protect \(self.digest)") }
        guard fdatasync(self.descriptor) == 0 else {
            let errno = Errno.current
            throw StorageError(.unsynced, "cannot sync \(self.digest): \(errno)", errno: errno)
        }
        self.isSealed = true
    }

    /// Makes the bytes durable and visible under their digest: fdatasync, rename, fsync of the folder.
    ///
    /// - Parameter isReplacing: what lies under the name is known to be damaged, and is replaced.
    /// - Returns: whether this file is the one in place; false when one of the same size was there.
    /// - Throws: as `seal` does; the spool file is gone then.
    @discardableResult
    package consuming func publish(replacing isReplacing: Bool = false) throws -> Bool {
        try self.seal()
        let target = StoreLayout.blob(self.digest)
        do {
            self.isFinished = try self.name(target, isReplacing)
        } catch let error as StorageError where error.code == .notFound {
            // Somebody removed the shard: it is there from the store's first day.
            guard let shard = target.parent, try self.root.makeDirectory(shard, mode: 0o755) else { throw error }
            try self.root.synchronizeDirectory(shard.parent)
            self.isFinished = try self.name(target, isReplacing)
        }
        if !self.isFinished {
            // Somebody was first. Content of one digest and one size is the same content; ours goes.
            guard let there = try self.root.status(of: target), there.isRegular, there.size == self.byteCount else {
                throw StorageError(.io, "\(target) is there with another size; run amargo verify")
            }
        }
        try self.root.synchronizeDirectory(target.parent)
        return self.isFinished
    }

    private func name(_ target: StorePath, _ isReplacing: Bool) throws -> Bool {
        guard isReplacing else { return try self.root.renameExclusively(self.path, to: target) }
        try self.root.rename(self.path, to: target)
        return true
    }
}
