import Glibc
import Storage

/// The folder in which a bundle appears, opened once.
final class TargetFolder {
    /// What everything that is not complete is called, before its number.
    static let temporaryPrefix = ".amargo-export-"

    let path: String
    let descriptor: CInt
    /// See `PendingFile.canNameLater`.
    private(set) lazy var namesFilesLater = PendingFile.canNameLater(in: self.descriptor)

    /// As `init(opening:)`, for a folder that must not be the store's: it would not be a store any more, with a stranger in it.
    convenience init(opening path: String, outside reader: StoreReader) throws {
        let (here, store) = (BundleTarget.resolved(path), BundleTarget.resolved("\(reader.root.path)"))
        guard !"\(here)/".hasPrefix("\(store)/") else {
            throw BundleError(.unusable, "\(path) belongs to the store \(store), which holds nothing else; name another folder")
        }
        try self.init(opening: path)
    }

    init(opening path: String) throws {
        self.path = path
        self.descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard self.descriptor >= 0 else {
            if errno == ENOENT { throw BundleError(.unusable, "there is no folder \(path); make it first") }
            throw BundleError(.unusable, "cannot open the folder \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        close(self.descriptor)
    }

    func path(_ name: String) -> String { self.path.hasSuffix("/") ? self.path + name : "\(self.path)/\(name)" }

    /// A name that nobody else has.
    static func temporaryName() -> String {
        "\(self.temporaryPrefix)\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
    }

    func synchronize() throws {
        // FAT and some network file systems know no sync of folders.
        guard fsync(self.descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw BundleError.call("sync", self.path)
        }
    }

    /// Bytes that may still be written here; nil when the file system does not say.
    var availableBytes: Int64? {
        var status = statvfs()
        guard fstatvfs(self.descriptor, &status) == 0 else { return nil }
        return Int64(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }

    /// Removes what a killed export has left here: nobody holds its lock any more.
    ///
    /// - Parameter age: seconds; one that was made a moment ago may not be locked yet.
    func removeLeftovers(olderThan age: Int = 60) {
        for name in Self.names(in: self.descriptor) where name.hasPrefix(Self.temporaryPrefix) {
            let descriptor = openat(self.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var status = stat()
            guard fstat(descriptor, &status) == 0, time(nil) - status.st_ctim.tv_sec > age,
                flock(descriptor, LOCK_EX | LOCK_NB) == 0
            else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                FolderTree.remove(name, in: self.descriptor)
            } else {
                unlinkat(self.descriptor, name, 0)
            }
        }
    }

    /// The names in an opened folder, without `.` and `..`.
    static func names(in folder: CInt) -> [String] {
        let copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            if copy >= 0 { close(copy) }
            return []
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

/// Removes a folder bundle that was not finished.
enum FolderTree {
    /// Three levels, as a bundle has; symbolic links are not followed.
    static func remove(_ name: String, in folder: CInt, depth: Int = 3) {
        let descriptor = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor >= 0 {
            for entry in TargetFolder.names(in: descriptor) where unlinkat(descriptor, entry, 0) != 0 {
                if depth > 1 { Self.remove(entry, in: descriptor, depth: depth - 1) }
            }
            close(descriptor)
        }
        unlinkat(folder, name, AT_REMOVEDIR)
    }
}
