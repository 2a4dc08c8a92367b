import Glibc

/// Where an archive's bytes go. All calls block.
protocol BundleOutput: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer) throws

    /// Makes what was written durable and visible, as a whole; what is not published is gone when the last reference is.
    func publish() throws
}

/// One file.
final class FileOutput: BundleOutput {
    private let file: PendingFile

    init(_ file: PendingFile) {
        self.file = file
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws { try self.file.write(bytes) }

    func publish() throws {
        try self.file.synchronize()
        try self.file.publish()
        try self.file.folder.synchronize()
    }
}

/// Standard output, a pipe or a device: what is written is seen at once.
final class StreamOutput: BundleOutput {
    private let descriptor: CInt
    private let name: String
    private let isOwned: Bool

    /// Takes over a descriptor.
    init(owning descriptor: CInt, name: String) {
        self.descriptor = descriptor
        self.name = name
        self.isOwned = true
    }

    static var standardOutput: StreamOutput { StreamOutput() }

    private init() {
        self.descriptor = STDOUT_FILENO
        self.name = "standard output"
        self.isOwned = false
    }

    deinit {
        if self.isOwned { close(self.descriptor) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws { try self.descriptor.writeAll(bytes, to: self.name) }

    func publish() throws {
        // Pipes and most devices have nothing to sync, and say so.
        guard fsync(self.descriptor) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP else {
            throw BundleError.call("sync", self.name)
        }
    }
}

extension CInt {
    /// Writes everything at the descriptor's position.
    func writeAll(_ bytes: UnsafeRawBufferPointer, to name: String) throws {
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            let count = Glibc.write(self, base, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw BundleError.call("write", name)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}

extension BundleError {
    /// The error of the call that just failed on this thread.
    static func call(_ action: String, _ name: String) -> BundleError {
        let number = errno
        switch number {
        case ENOSPC, EDQUOT: return BundleError(.full, "there is no room left for \(name)")
        case EFBIG:
            return BundleError(
                .full, "the file system takes no file as large as \(name) would be; --split 4GB writes it in parts")
        case EPIPE: return BundleError(.io, "\(name) was closed by its reader")
        default: return BundleError(.io, "cannot \(action) \(name): \(String(cString: strerror(number)))")
        }
    }
}
