import CLinux
import Glibc
import OCI
import Synchronization
import SystemPackage

/// A file opened for reading, shared by all who send from it; closed when the last of them lets go.
///
/// Reads name their offset, so that any number can share the descriptor. The bytes stay readable after the name is
/// gone: an eviction never hurts a transfer.
package final class ReadableFile: Sendable {
    package let descriptor: CInt
    /// Size in bytes when it was opened; a spool file grows after that.
    package let size: Int64
    /// Room on the disk that comes free when the last reader lets go: the name is gone already.
    private let held = Mutex<Reservation?>(nil)

    /// Takes over an open descriptor.
    init(descriptor: CInt, size: Int64) {
        self.descriptor = descriptor
        self.size = size
    }

    deinit {
        close(self.descriptor)
    }

    /// Keeps room set aside for as long as anybody reads a file that has lost its name.
    package func hold(_ reservation: consuming Reservation) {
        var reservation: Reservation? = consume reservation
        self.held.withLock { $0 = reservation.take() }
    }

    /// The file's inode number; 0 when fstat(2) fails.
    var inode: UInt64 {
        var status = stat()
        return fstat(self.descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    /// Size in bytes at this moment, from fstat(2); -1 when that fails.
    package var currentSize: Int64 {
        var status = stat()
        return fstat(self.descriptor, &status) == 0 ? Int64(status.st_size) : -1
    }

    /// Whether the page at `offset` can be sent without waiting for the disk.
    package func isResident(at offset: Int64) -> Bool {
        clinux_is_resident(self.descriptor, offset) == 1
    }

    /// Brings a range into the page cache; blocks, for the thread pool.
    package func readAhead(from offset: Int64, count: Int) {
        // Only a hint: the send that follows reads what this did not.
        _ = clinux_readahead(self.descriptor, offset, count)
        var byte: UInt8 = 0
        var position = offset
        while position < offset + Int64(count), pread(self.descriptor, &byte, 1, off_t(position)) == 1 { position += 128 << 10 }
    }

    /// Reads up to `count` bytes at `offset`; fewer only at the end of the file. Blocks.
    package func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(
                self.descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset) + off_t(done))
            if count < 0 {
                if Errno.current == .interrupted { continue }
                throw StorageError(.current, "read stored content")
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Hashes the whole file. Blocks for as long as that takes.
    package func digest(_ algorithm: Digest.Algorithm, upTo limit: Int64 = .max) throws -> DigestVerifier {
        var verifier = DigestVerifier(algorithm)
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while verifier.byteCount < limit {
            let wanted = Int(min(Int64(buffer.count), limit - verifier.byteCount))
            let count = try buffer.withUnsafeMutableBytes { bytes in
                let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<wanted])
                let count = try self.read(at: verifier.byteCount, into: part)
                verifier.update(UnsafeRawBufferPointer(rebasing: part[..<count]))
                return count
            }
            if count < wanted { break }
        }
        return verifier
    }
}
