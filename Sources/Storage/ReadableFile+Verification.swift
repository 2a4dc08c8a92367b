import CLinux
import Glibc
import OCI

/// Hashing a store without pushing what clients ask for out of the page cache.
extension ReadableFile {
    /// Bytes that are read at once.
    package static let piece = 1 << 20

    /// Hashes the whole file, up to its end as it is then. Blocks for as long as that takes.
    ///
    /// - Parameters:
    ///   - buffer: at least `piece` bytes.
    ///   - goesOn: told how many bytes came; false ends it.
    /// - Returns: nil when it was ended.
    package func digest(
        _ algorithm: Digest.Algorithm, buffer: UnsafeMutableRawBufferPointer, goesOn: (Int) -> Bool
    ) throws -> Digest? {
        var verifier = DigestVerifier(algorithm)
        var traces = PageTraces(of: self)
        if self.size > Int64(Self.piece) { _ = posix_fadvise(self.descriptor, 0, 0, POSIX_FADV_SEQUENTIAL) }
        while true {
            let offset = verifier.byteCount
            let count = try self.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<Self.piece]))
            verifier.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            traces.didRead(at: offset, count: count)
            guard goesOn(count) else { return nil }
            if count < Self.piece { return verifier.digest() }
        }
    }
}

/// The pages that reading a file from its beginning to its end brings into memory; they go again, those that were there before stay.
///
/// A hint to the kernel: whoever else uses a page keeps it.
package struct PageTraces: ~Copyable {
    /// Letting go of little at a time would leave what the kernel keeps in large units, and cost more than hashing.
    private static let batch: Int64 = 32 << 20

    private let file: ReadableFile
    /// Whether the first page of each piece was there; empty when the kernel does not say.
    private let residency: [UInt8]
    /// What has come in and not gone yet.
    private var start: Int64 = 0
    private var end: Int64 = 0

    package init(of file: ReadableFile) {
        let piece = ReadableFile.piece
        let count = Int((file.size + Int64(piece) - 1) / Int64(piece))
        var resident = [UInt8](repeating: 0, count: count)
        let isKnown = count > 0 && clinux_residency(file.descriptor, file.size, piece, &resident, count) == 0
        self.file = file
        self.residency = isKnown ? resident : []
    }

    deinit {
        Self.letGo(self.file, self.start..<self.end)
    }

    /// Notes that a piece was read.
    package mutating func didRead(at offset: Int64, count: Int) {
        let index = Int(offset / Int64(ReadableFile.piece))
        let wasAbsent = index < self.residency.count && self.residency[index] == 0
        if wasAbsent, offset == self.end {
            self.end = offset + Int64(count)
        } else if wasAbsent {
            Self.letGo(self.file, self.start..<self.end)
            (self.start, self.end) = (offset, offset + Int64(count))
        }
        if self.end - self.start >= Self.batch {
            Self.letGo(self.file, self.start..<self.end)
            // Once more with the next batch, for the unit that lies across the end.
            self.start = self.end - Self.batch / 4
        }
    }

    private static func letGo(_ file: ReadableFile, _ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        _ = posix_fadvise(file.descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
    }
}

/// A thread for work that must not be felt.
package enum IdleThread {
    /// Makes the calling thread wait for everybody else's reads and computing. What the kernel refuses is done without.
    package static func begin() { _ = clinux_become_idle() }

    /// How long the calling thread has computed.
    package static var time: Duration { .nanoseconds(clinux_thread_time()) }
}
