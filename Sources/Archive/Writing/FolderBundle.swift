import Glibc
import OCI
import Storage

/// Writes a bundle as a folder: hard links to the store's files where that can be, else copies.
///
/// Everything is made in a folder with a temporary name beside it, which gets the right one when it is complete.
struct FolderBundle {
    private let target: TargetFolder
    private let name: String
    private let plan: ExportPlan
    private let blobs: StoredBlobs
    private let progress: ExportProgress

    struct Result {
        var links = 0
        var copies = 0
        /// Why there are copies; nil when there are none, or nobody wanted links.
        var obstacle: String?
    }

    init(_ name: String, in target: TargetFolder, _ plan: ExportPlan, _ blobs: StoredBlobs, _ progress: ExportProgress) {
        self.name = name
        self.target = target
        self.plan = plan
        self.blobs = blobs
        self.progress = progress
    }

    /// Blocks for as long as that takes.
    func write(linking: Bool) throws -> Result {
        self.progress.begin(self.plan.byteCount)
        let temporary = TargetFolder.temporaryName()
        let path = self.target.path(self.name)
        guard mkdirat(self.target.descriptor, temporary, 0o755) == 0 else { throw BundleError.call("make the folder", path) }
        let folder = openat(self.target.descriptor, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        do {
            guard folder >= 0 else { throw BundleError.call("open the folder", path) }
            defer { close(folder) }
            // Says that somebody is at work on it.
            _ = flock(folder, LOCK_EX | LOCK_NB)
            let result = try self.fill(folder, linking: linking)
            try self.progress.checkStop()
            guard renameat(self.target.descriptor, temporary, self.target.descriptor, self.name) == 0 else {
                throw BundleError.call("rename the finished folder to", path)
            }
            try self.target.synchronize()
            return result
        } catch {
            FolderTree.remove(temporary, in: self.target.descriptor)
            throw error
        }
    }

    private func fill(_ folder: CInt, linking: Bool) throws -> Result {
        let blobs = try self.makeFolder("blobs", in: folder)
        defer { close(blobs) }
        var result = Result()
        for algorithm in Digest.Algorithm.allCases {
            let members = self.plan.members.filter { $0.digest.algorithm == algorithm }
            guard !members.isEmpty || algorithm == .sha256 else { continue }
            let directory = try self.makeFolder(algorithm.rawValue, in: blobs)
            defer { close(directory) }
            try self.fill(directory, with: members, linking: linking, &result)
            try self.synchronize(directory)
        }
        try self.writeFile(BundleLayout.indexFile, self.plan.index, in: folder)
        try self.writeFile(BundleLayout.layoutFile, BundleLayout.version, in: folder)
        try self.synchronize(blobs)
        try self.synchronize(folder)
        return result
    }

    private func fill(
        _ directory: CInt, with members: [ExportPlan.Member], linking: Bool, _ result: inout Result
    ) throws {
        var copied: [ExportPlan.Member] = []
        var linker = linking ? BlobLinker(self.blobs, to: directory) : nil
        for member in members {
            try self.progress.checkStop()
            switch try linker?.link(member) {
            case nil: copied.append(member)
            case .linked:
                result.links += 1
                self.progress.add(member.size)
            case .impossible(let reason, let isForAll):
                copied.append(member)
                result.obstacle = result.obstacle ?? reason
                if isForAll { linker = nil }
            }
        }
        result.copies += copied.count
        try self.copy(copied, to: directory)
    }

    private func copy(_ members: [ExportPlan.Member], to directory: CInt) throws {
        guard !members.isEmpty else { return }
        let path = self.target.path(self.name)
        try BlobPump.run(members, from: self.blobs, self.progress) { pump in
            for member in members {
                let file = try Self.create(member.digest.hex, in: directory, path)
                defer { close(file) }
                try pump.carry(member.digest, size: member.size) { try file.writeAll($0, to: path) }
                // Starts writing to the disk; the sync below has little left to do.
                posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
            }
        }
        for member in members {
            try self.progress.checkStop()
            let file = openat(directory, member.digest.hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
            guard file >= 0 else { throw BundleError.call("open a blob in", path) }
            defer { close(file) }
            try self.synchronize(file)
        }
    }

    // MARK: - Files

    private func makeFolder(_ name: String, in folder: CInt) throws -> CInt {
        let path = self.target.path(self.name)
        guard mkdirat(folder, name, 0o755) == 0 else { throw BundleError.call("make the folder", path) }
        let descriptor = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw BundleError.call("open the folder", path) }
        return descriptor
    }

    private func writeFile(_ name: String, _ bytes: [UInt8], in folder: CInt) throws {
        let path = self.target.path(self.name)
        let file = try Self.create(name, in: folder, path)
        defer { close(file) }
        try bytes.withUnsafeBytes { try file.writeAll($0, to: path) }
        try self.synchronize(file)
    }

    private static func create(_ name: String, in folder: CInt, _ path: String) throws -> CInt {
        let file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BundleError.call("write a file in", path) }
        return file
    }

    private func synchronize(_ descriptor: CInt) throws {
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw BundleError.call("sync", self.target.path(self.name))
        }
    }
}

/// Gives the store's blobs second names in a folder. Digests come in their order, so that each shard is opened once.
private final class BlobLinker {
    enum Outcome {
        case linked
        /// Only a copy will do: for this blob, or for all.
        case impossible(String, isForAll: Bool)
    }

    private let blobs: StoredBlobs
    private let directory: CInt
    private var shard: (path: StorePath, descriptor: CInt)?

    init(_ blobs: StoredBlobs, to directory: CInt) {
        self.blobs = blobs
        self.directory = directory
    }

    deinit {
        if let shard { close(shard.descriptor) }
    }

    func link(_ member: ExportPlan.Member) throws -> Outcome {
        let shard = try self.open(StoreLayout.shard(of: member.digest))
        let name = member.digest.hex
        guard linkat(shard, name, self.directory, name, 0) == 0 else {
            switch errno {
            case EXDEV: return .impossible("it is on another file system than the store", isForAll: true)
            case EPERM, ENOTSUP, ENOSYS, EACCES:
                return .impossible("the file system, or the rights on the store's files, do not allow links", isForAll: true)
            case EMLINK: return .impossible("some files of the store have as many links as a file can have", isForAll: false)
            case ENOENT: throw BundleError.vanished(member.digest)
            default: throw BundleError.call("link a blob to", "the folder")
            }
        }
        // What was linked is looked at, not what had the name before.
        var status = stat()
        guard fstatat(self.directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG,
            Int64(status.st_size) == member.size
        else { throw BundleError.damaged(member.digest) }
        return .linked
    }

    private func open(_ path: StorePath) throws -> CInt {
        if let shard = self.shard {
            if shard.path == path { return shard.descriptor }
            close(shard.descriptor)
            self.shard = nil
        }
        let descriptor = try self.blobs.reader.root.open(path, O_RDONLY | O_DIRECTORY)
        self.shard = (path, descriptor)
        return descriptor
    }
}
