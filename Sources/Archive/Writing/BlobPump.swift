import OCI
import Storage

/// Carries blobs out of the store: read once, written here and hashed on another thread at the same time.
final class BlobPump {
    private let blobs: StoredBlobs
    private let hashing: HashingThread
    private let progress: ExportProgress

    /// Runs `body` with a pump, and checks at its end that every blob was what its name says.
    static func run<T>(
        _ blobs: StoredBlobs, _ progress: ExportProgress, _ body: (BlobPump) throws -> T
    ) throws -> T {
        let pump = BlobPump(blobs, try HashingThread(), progress)
        defer { pump.hashing.end() }
        do {
            let result = try body(pump)
            try pump.hashing.wait()
            return result
        } catch let error as DamagedContent {
            throw BundleError.damaged(error.digest)
        }
    }

    private init(_ blobs: StoredBlobs, _ hashing: HashingThread, _ progress: ExportProgress) {
        self.blobs = blobs
        self.hashing = hashing
        self.progress = progress
    }

    /// Gives a blob to `write`, piece by piece. That its bytes are right is known at the end of all.
    func carry(_ digest: Digest, size: Int64, _ write: (UnsafeRawBufferPointer) throws -> Void) throws {
        let blob = try self.blobs.open(digest, size: size)
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
}
