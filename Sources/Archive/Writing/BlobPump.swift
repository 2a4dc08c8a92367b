import OCI
import Storage

/// Carries blobs out of the store: read once, written here and hashed on another thread at the same time.
final class BlobPump {
    private let blobs: StoredBlobs
    private let held: HeldBlobs
    private let hashing: HashingThread
    private let progress: ExportProgress

    /// Runs `body` with a pump, and checks at its end that every blob was what its name says.
    ///
    /// - Parameter members: what is going to be carried, in that order.
    static func run<T>(
        _ members: [ExportPlan.Member], from blobs: StoredBlobs, _ progress: ExportProgress, _ body: (BlobPump) throws -> T
    ) throws -> T {
        let held = try HeldBlobs(members, of: blobs, limit: blobs.openFiles)
        let pump = BlobPump(blobs, held, try HashingThread(), progress)
        defer { pump.hashing.end() }
        do {
            let result = try body(pump)
            try pump.hashing.wait()
            return result
        } catch let error as DamagedContent {
            throw BundleError.damaged(error.digest)
        }
    }

    private init(_ blobs: StoredBlobs, _ held: HeldBlobs, _ hashing: HashingThread, _ progress: ExportProgress) {
        self.blobs = blobs
        self.held = held
        self.hashing = hashing
        self.progress = progress
    }

    /// Gives a blob to `write`, piece by piece. That its bytes are right is known at the end of all.
    func carry(_ digest: Digest, size: Int64, _ write: (UnsafeRawBufferPointer) throws -> Void) throws {
        let blob = try self.open(digest, size: size)
        var offset: Int64 = 0
        repeat {
            try self.progress.checkStop()
            let buffer = try self.hashing.next()
            let wanted = Int(min(Int64(buffer.count), size - offset))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
            guard try blob.read(at: offset, into: piece) == wanted else { throw BundleError.damaged(digest) }
            let isFirst = offset == 0
            offset += Int64(wanted)
            self.hashing.submit(wanted, begins: isFirst ? digest.algorithm : nil, ends: offset == size ? digest : nil)
            try write(UnsafeRawBufferPointer(piece))
            self.progress.add(Int64(wanted))
        } while offset < size
    }

    private func open(_ digest: Digest, size: Int64) throws -> StoredBlob {
        if let blob = self.held.take(digest, size: size) { return blob }
        return try self.blobs.open(digest, size: size)
    }
}
