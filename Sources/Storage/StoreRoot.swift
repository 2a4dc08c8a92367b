import CLinux
import Glibc
import Synchronization
import SystemPackage

/// The store's folder, opened once; every file call of this module goes through it.
///
/// Below the root no symbolic link is ever followed: a local user who can write somewhere in the store cannot make
/// it read or write elsewhere. All calls block: they belong on a thread pool, never on an event loop.
package final class StoreRoot: Sendable {
    package let path: FilePath
    package let device: UInt64
    private let inode: UInt64
    private let descriptor: CInt

    private static let folderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC

    /// Folders that this process could open once: see `keep`.
    private static let kept = Mutex<[FilePath: CInt]>([:])

    /// Remembers a store's folder for a process that is about to give up its rights: the folders above may be closed to the user that
    /// it becomes, as systemd's /var/lib/private is.
    package static func keep(folder: String) {
        let path = FilePath(folder)
        let descriptor = path.withPlatformString { Glibc.open($0, clinux_o_path | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { return }
        if let old = self.kept.withLock({ $0.updateValue(descriptor, forKey: path) }) { close(old) }
    }

    static func isKept(_ path: FilePath) -> Bool { self.kept.withLock { $0[path] != nil } }

    /// For callers that have the folder as text.
    package convenience init(folder: String) throws { try self.init(opening: FilePath(folder)) }

    /// The path itself is its owner's: what it leads to by symbolic links is the store's folder.
    package init(opening path: FilePath) throws {
        var descriptor = path.withPlatformString { Glibc.open($0, Self.folderFlags) }
        let errno = Errno.current
        if descriptor < 0, errno == .permissionDenied, let kept = Self.kept.withLock({ $0[path] }) {
            descriptor = openat(kept, ".", Self.folderFlags)
        }
        guard descriptor >= 0 else { throw StorageError(errno, "open the store \(path)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let errno = Errno.current
            close(descriptor)
            throw StorageError(errno, "look at the store \(path)")
        }
        self.path = path
        self.device = UInt64(status.st_dev)
        self.inode = UInt64(status.st_ino)
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Whether the path still leads to this folder, and the folder to a store.
    var isInPlace: Bool {
        var status = stat()
        if self.path.withPlatformString({ stat($0, &status) }) == 0 {
            guard UInt64(status.st_dev) == self.device, UInt64(status.st_ino) == self.inode else { return false }
        } else {
            // Who may not look at the path cannot tell where it leads.
            guard Errno.current == .permissionDenied, Self.kept.withLock({ $0[self.path] != nil }) else { return false }
        }
        return faccessat(self.descriptor, StoreLayout.storeFile.description, F_OK, 0) == 0
    }

    /// Whether the file system is mounted read-only.
    var isReadOnly: Bool { clinux_is_read_only(self.descriptor) == 1 }

    /// A further descriptor of the folder itself, to list it; the caller owns it.
    func openAgain() throws -> CInt {
        let descriptor = openat(self.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError(.current, "list the store's folder") }
        return descriptor
    }

    /// Opens a file or folder; the caller owns the descriptor.
    package func open(_ path: StorePath, _ flags: CInt, mode: mode_t = 0) throws -> CInt {
        while true {
            let descriptor = clinux_open_beneath(self.descriptor, path.description, flags, mode)
            if descriptor >= 0 { return descriptor }
            let errno = Errno.current
            if errno != .interrupted { throw StorageError(errno, "open \(self.path)/\(path)") }
        }
    }

    /// Runs `body` with the opened parent folder and the last component of `path`.
    private func withParent<T>(of path: StorePath, _ body: (CInt, String) throws -> T) throws -> T {
        guard let parent = path.parent else { return try body(self.descriptor, path.name) }
        let directory = try self.open(parent, clinux_o_path | O_DIRECTORY)
        defer { close(directory) }
        return try body(directory, path.name)
    }

    /// Moves a file to a name that must be free. False when the name is taken; nothing has changed then.
    package func renameExclusively(_ from: StorePath, to target: StorePath) throws -> Bool {
        try self.withParent(of: from) { source, sourceName in
            try self.withParent(of: target) { folder, name in
                if clinux_rename_exclusive(source, sourceName, folder, name) == 0 { return true }
                let errno = Errno.current
                if errno == .fileExists { return false }
                guard errno == .invalidArgument || errno == .noFunction else {
                    throw StorageError(errno, "rename \(from) to \(target)")
                }
                // A file system without RENAME_NOREPLACE: a link says "taken" just as surely.
                switch linkat(source, sourceName, folder, name, 0) == 0 ? nil : Errno.current {
                case nil:
                    unlinkat(source, sourceName, 0)
                    return true
                case .fileExists: return false
                case .notPermitted, .notSupported, .noFunction:
                    // No links either. Whoever holds the store is the only one who gives names here.
                    guard faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 else { return false }
                    guard renameat(source, sourceName, folder, name) == 0 else {
                        throw StorageError(.current, "rename \(from) to \(target)")
                    }
                    return true
                case let errno?: throw StorageError(errno, "link \(from) to \(target)")
                }
            }
        }
    }

    package func rename(_ from: StorePath, to target: StorePath) throws {
        try self.withParent(of: from) { source, sourceName in
            try self.withParent(of: target) { folder, name in
                guard renameat(source, sourceName, folder, name) == 0 else {
                    throw StorageError(.current, "rename \(from) to \(target)")
                }
            }
        }
    }

    package enum LinkOutcome: Sendable {
        case linked
        case exists
        /// The file has as many links as it can, or the file system knows none.
        case unsupported
    }

    package func link(_ from: StorePath, to target: StorePath) throws -> LinkOutcome {
        try self.withParent(of: from) { source, sourceName in
            try self.withParent(of: target) { folder, name in
                if linkat(source, sourceName, folder, name, 0) == 0 { return .linked }
                switch Errno.current {
                case .fileExists: return .exists
                case .tooManyLinks, .notPermitted, .notSupported, .noFunction, .improperLink: return .unsupported
                case let errno: throw StorageError(errno, "link \(from) to \(target)")
                }
            }
        }
    }

    /// Gives an opened file a further name; false where that cannot be: another disk, somebody else's file, no links here.
    func link(descriptor: CInt, to target: StorePath) throws -> Bool {
        try self.withParent(of: target) { folder, name in
            // By way of /proc, since an empty path needs rights that only root has.
            if linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", folder, name, AT_SYMLINK_FOLLOW) == 0 { return true }
            switch Errno.current {
            case .improperLink, .notPermitted, .permissionDenied, .tooManyLinks, .notSupported, .noFunction,
                .noSuchFileOrDirectory:
                return false
            case let errno: throw StorageError(errno, "link \(target)")
            }
        }
    }

    /// Removes a file; a missing one is no error.
    package func remove(_ path: StorePath) throws {
        try self.withParent(of: path) { folder, name in
            guard unlinkat(folder, name, 0) == 0 || Errno.current == .noSuchFileOrDirectory else {
                throw StorageError(.current, "remove \(path)")
            }
        }
    }

    /// As `remove`; neither is it an error when the folder around it is missing.
    package func removeIfThere(_ path: StorePath) throws {
        do {
            try self.remove(path)
        } catch let error as StorageError where error.code == .notFound {
            return  // that is what is wanted
        }
    }

    /// Removes a folder if it is empty; false when it is not, or is missing.
    package func removeDirectory(_ path: StorePath) throws -> Bool {
        do {
            return try self.withParent(of: path) { folder, name in
                if unlinkat(folder, name, AT_REMOVEDIR) == 0 { return true }
                let errno = Errno.current
                guard errno == .directoryNotEmpty || errno == .fileExists || errno == .noSuchFileOrDirectory else {
                    throw StorageError(errno, "remove the folder \(path)")
                }
                return false
            }
        } catch let error as StorageError where error.code == .notFound {
            return false
        }
    }

    /// Makes a folder and those above it; true when it was not there.
    @discardableResult
    package func makeDirectory(_ path: StorePath, mode: mode_t = 0o755) throws -> Bool {
        do {
            return try self.withParent(of: path) { folder, name in
                if clinux_mkdirat(folder, name, mode) == 0 { return true }
                let errno = Errno.current
                guard errno == .fileExists else { throw StorageError(errno, "make the folder \(path)") }
                return false
            }
        } catch let error as StorageError where error.code == .notFound {
            guard let parent = path.parent else { throw error }
            try self.makeDirectory(parent, mode: mode)
            return try self.makeDirectory(path, mode: mode)
        }
    }

    /// Makes what was created, renamed or removed in a folder durable.
    package func synchronizeDirectory(_ path: StorePath?) throws {
        if let path {
            let directory = try self.open(path, O_RDONLY | O_DIRECTORY)
            defer { close(directory) }
            guard fsync(directory) == 0 else { throw StorageError(.current, "sync the folder \(path)") }
        } else {
            guard fsync(self.descriptor) == 0 else { throw StorageError(.current, "sync the store's folder") }
        }
    }

    /// The names in a folder, in no order, without `.` and `..`; empty when the folder is missing.
    package func entries(of path: StorePath?) throws -> [String] {
        var names: [String] = []
        try self.visit(path) { names.append($0.name) }
        return names
    }

    package struct FileStatus: Sendable {
        package let size: Int64
        package let isRegular: Bool
        package let isFolder: Bool
        package let linkCount: Int
        package let inode: UInt64
        package let allocated: Int64
        /// Unix seconds of the last change of the file or its names.
        package let changedAt: Int64

        package init(_ status: stat) {
            self.size = Int64(status.st_size)
            self.isFolder = status.st_mode & S_IFMT == S_IFDIR
            self.isRegular = status.st_mode & S_IFMT == S_IFREG
            self.linkCount = Int(status.st_nlink)
            self.inode = UInt64(status.st_ino)
            self.allocated = Int64(status.st_blocks) * 512
            self.changedAt = Int64(status.st_ctim.tv_sec)
        }
    }

    /// The folder itself.
    func ownStatus() throws -> stat {
        var status = stat()
        guard fstat(self.descriptor, &status) == 0 else { throw StorageError(.current, "look at the store \(self.path)") }
        return status
    }

    /// What a name stands for, links not followed; nil when there is nothing.
    package func status(of path: StorePath) throws -> FileStatus? {
        do {
            return try self.withParent(of: path) { folder, name in
                var status = stat()
                if fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(status) }
                if Errno.current == .noSuchFileOrDirectory { return nil }
                throw StorageError(.current, "look at \(path)")
            }
        } catch let error as StorageError where error.code == .notFound {
            return nil
        }
    }

    /// Binds and listens on a socket in the store's folder, for the owner alone; one that a dead process left is replaced.
    ///
    /// Only the holder of the store's lock may do this. The address goes through the opened folder: a socket's path may have no more than
    /// 107 bytes, the store's may.
    package func listen(on path: StorePath) throws -> CInt {
        try self.remove(path)
        let descriptor = try Self.makeSocket()
        var address = self.address(of: path)
        // The name gets the mode that the socket has: unix(7). A umask would be every thread's for that moment.
        fchmod(descriptor, 0o600)
        guard Self.withAddress(&address, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 64) == 0 else {
            let errno = Errno.current
            close(descriptor)
            throw StorageError(errno, "listen on \(self.path)/\(path)")
        }
        return descriptor
    }

    /// Connects to a socket in the store's folder; nil when nobody listens there.
    package func connect(to path: StorePath) throws -> CInt? {
        let descriptor = try Self.makeSocket()
        var address = self.address(of: path)
        if Self.withAddress(&address, { Glibc.connect(descriptor, $0, $1) }) == 0 { return descriptor }
        let errno = Errno.current
        close(descriptor)
        switch errno {
        case .noSuchFileOrDirectory, .connectionRefused: return nil
        default: throw StorageError(errno, "connect to \(self.path)/\(path)")
        }
    }

    private static func makeSocket() throws -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw StorageError(.current, "make a socket") }
        return descriptor
    }

    private func address(of path: StorePath) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let text = Array("/proc/self/fd/\(self.descriptor)/\(path)".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            for (index, byte) in text.prefix(bytes.count - 1).enumerated() { bytes[index] = byte }
        }
        return address
    }

    private static func withAddress(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    /// Bytes that this process may still write to the file system; nil when it does not say.
    package var availableBytes: Int64? {
        let bytes = clinux_available_bytes(self.descriptor)
        return bytes < 0 ? nil : bytes
    }

    /// Bytes of the whole file system; nil when it does not say.
    var totalBytes: Int64? {
        let bytes = clinux_total_bytes(self.descriptor)
        return bytes < 0 ? nil : bytes
    }

    /// Writes a small file under a temporary name, syncs it and moves it into place.
    package func replace(_ target: StorePath, by temporary: StorePath, with bytes: [UInt8], mode: mode_t = 0o644) throws {
        try self.remove(temporary)
        let descriptor = try self.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        do {
            defer { close(descriptor) }
            try bytes.withUnsafeBytes { try descriptor.writeAll($0, to: temporary) }
            guard fsync(descriptor) == 0 else { throw StorageError(.current, "sync \(temporary)") }
        } catch {
            try? self.remove(temporary)  // the failed write is the news, not this
            throw error
        }
        try self.rename(temporary, to: target)
        try self.synchronizeDirectory(target.parent)
    }

    /// The whole of a small file, or nil when it is missing or larger than `limit` bytes.
    package func contents(of path: StorePath, limit: Int) throws -> [UInt8]? {
        let descriptor: CInt
        do {
            // Non-blocking, so that a FIFO in the file's place is empty instead of waiting for a writer.
            descriptor = try self.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        } catch let error as StorageError where error.code == .notFound {
            return nil
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if Errno.current == .interrupted { continue }
                throw StorageError(.current, "read \(path)")
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            if bytes.count > limit { return nil }
        }
    }
}

extension Errno {
    /// The error of the call that just failed on this thread.
    static var current: Errno { Errno(rawValue: errno) }
}

extension CInt {
    /// Writes everything at the descriptor's position.
    func writeAll(_ bytes: UnsafeRawBufferPointer, to path: StorePath) throws {
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            let count = write(self, base, rest.count)
            if count < 0 {
                if Errno.current == .interrupted { continue }
                throw StorageError(.current, "write \(path)")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}
