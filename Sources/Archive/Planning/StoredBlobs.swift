import Glibc
import OCI
import Storage

/// Looks at and reads the blobs of a store that somebody else may be changing.
struct StoredBlobs: Sendable {
    let reader: StoreReader
    /// Blobs that may be held open at the same time.
    var openFiles = 128

    enum State: Hashable, Sendable {
        case present
        case absent
        /// There is a file, which cannot be the blob.
        case damaged
    }

    /// Whether a blob is there as a file of its size; its bytes are not looked at. Blocks.
    func state(of digest: Digest, size: Int64) throws -> State {
        guard let content = self.reader.catalog.content(digest) else { return .absent }
        // Whoever names it says how large it is; both are somebody's word.
        guard content.size == size else { return .damaged }
        guard let status = try self.reader.root.status(of: StoreLayout.blob(digest)) else { return .absent }
        return status.isRegular && status.size == size ? .present : .damaged
    }

    /// Opens a blob for reading. Blocks.
    ///
    /// - Throws: `BundleError.vanished` when it is no longer there, `.damaged` when it has another size.
    func open(_ digest: Digest, size: Int64) throws -> StoredBlob {
        let descriptor: CInt
        do {
            // Non-blocking, so that a FIFO in the file's place is found out instead of waited for.
            descriptor = try self.reader.root.open(StoreLayout.blob(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        } catch let error as StorageError where error.code == .notFound {
            throw BundleError.vanished(digest)
        }
        let blob = StoredBlob(digest: digest, size: size, descriptor: descriptor)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, Int64(status.st_size) == size else {
            throw BundleError.damaged(digest)
        }
        return blob
    }

    /// A small blob as a whole, its hash checked. Blocks.
    func contents(of digest: Digest, size: Int64) throws -> [UInt8] {
        guard size <= Int64(Limits.Documents.manifest) else { throw BundleError.damaged(digest) }
        let blob = try self.open(digest, size: size)
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = try bytes.withUnsafeMutableBytes { try blob.read(at: 0, into: $0) }
        let hash = bytes.withUnsafeBytes { Digest(digest.algorithm, of: $0) }
        guard count == bytes.count, hash == digest else { throw BundleError.damaged(digest) }
        return bytes
    }
}

/// An opened blob; closed when it goes.
struct StoredBlob: ~Copyable {
    let digest: Digest
    let size: Int64
    let descriptor: CInt

    deinit {
        close(self.descriptor)
    }

    /// Reads up to the buffer's size; fewer bytes only at the end of the file.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(
                self.descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw BundleError(
                    .damaged,
                    "cannot read the stored blob \(self.digest): \(String(cString: strerror(errno))); amargo verify --repair "
                        + "takes it out, so that it is fetched again")
            }
            if count == 0 { break }
            done += count
        }
        return done
    }
}

extension BundleError {
    static func vanished(_ digest: Digest) -> BundleError {
        BundleError(
            .vanished,
            "the blob \(digest) was evicted or removed while it was exported; run the export again, or pin its image first")
    }

    static func damaged(_ digest: Digest) -> BundleError {
        BundleError(
            .damaged,
            "the stored blob \(digest) is damaged and was not exported; amargo verify --repair takes it out, so that it is fetched "
                + "again")
    }
}
