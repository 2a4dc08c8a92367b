import Glibc

/// A file that appears under its name complete, or not at all.
///
/// Where the file system can, it has no name until then, so that not even SIGKILL leaves anything behind; elsewhere it has a
/// temporary one.
final class PendingFile {
    let folder: TargetFolder
    let name: String
    let path: String
    private let descriptor: CInt
    /// The name that it has now; nil for none.
    private var temporary: String?
    private(set) var size: Int64 = 0
    /// Up to where the disk has been told to begin.
    private var pushed: Int64 = 0

    private static let push: Int64 = 16 << 20

    /// open(2), O_TMPFILE, which glibc shows only with _GNU_SOURCE.
    private static let unnamed: CInt = 0o20_000_000 | O_DIRECTORY

    init(_ name: String, in folder: TargetFolder, mode: mode_t = 0o644) throws {
        self.folder = folder
        self.name = name
        self.path = folder.path(name)
        if folder.namesFilesLater {
            self.descriptor = openat(folder.descriptor, ".", O_WRONLY | O_CLOEXEC | Self.unnamed, mode)
            guard self.descriptor >= 0 else { throw BundleError.call("write", self.path) }
            return
        }
        let temporary = TargetFolder.temporaryName()
        self.descriptor = openat(folder.descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard self.descriptor >= 0 else { throw BundleError.call("write", self.path) }
        self.temporary = temporary
        // Says that somebody is at work on it; where there are no locks, nobody removes it either.
        _ = flock(self.descriptor, LOCK_EX | LOCK_NB)
    }

    deinit {
        close(self.descriptor)
        if let temporary { unlinkat(self.folder.descriptor, temporary, 0) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try self.descriptor.writeAll(bytes, to: self.path)
        self.size += Int64(bytes.count)
        guard self.size - self.pushed >= Self.push else { return }
        // Starts writing to the disk what is not there yet, and lets go of what is: the sync at the end has little left to do, and a
        // large bundle does not push everything else out of memory.
        posix_fadvise(self.descriptor, 0, off_t(self.size), POSIX_FADV_DONTNEED)
        self.pushed = self.size
    }

    func synchronize() throws {
        guard fsync(self.descriptor) == 0 else { throw BundleError.call("sync", self.path) }
    }

    /// Gives the file its name, in place of what has it now. The folder is the caller's to sync.
    func publish() throws {
        let temporary = try self.temporary ?? self.makeName()
        self.temporary = temporary
        guard renameat(self.folder.descriptor, temporary, self.folder.descriptor, self.name) == 0 else {
            throw BundleError.call("rename the finished file to", self.path)
        }
        self.temporary = nil
    }

    private func makeName() throws -> String {
        guard let temporary = Self.name(self.descriptor, in: self.folder.descriptor) else {
            throw BundleError.call("name the finished file", self.path)
        }
        return temporary
    }

    private static func name(_ descriptor: CInt, in folder: CInt) -> String? {
        let temporary = TargetFolder.temporaryName()
        let own = "/proc/self/fd/\(descriptor)"
        return linkat(AT_FDCWD, own, folder, temporary, AT_SYMLINK_FOLLOW) == 0 ? temporary : nil
    }

    /// Whether a file in this folder can be made without a name and get one later. Not all file systems can do the first, nor all the
    /// second, and /proc may be missing.
    static func canNameLater(in folder: CInt) -> Bool {
        let descriptor = openat(folder, ".", O_WRONLY | O_CLOEXEC | Self.unnamed, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard let temporary = Self.name(descriptor, in: folder) else { return false }
        unlinkat(folder, temporary, 0)
        return true
    }
}
