import Glibc
import OCI

/// Bytes of a bundle that can be read at any place: a file, or several that follow each other.
package final class BundleFile: Sendable {
    private struct Part: Sendable {
        let descriptor: CInt
        let start: Int64
        let size: Int64
    }

    private let parts: [Part]
    package let size: Int64

    /// Takes over descriptors of regular files, in their order.
    package init(_ descriptors: [CInt]) throws {
        var parts: [Part] = []
        var size: Int64 = 0
        var problem: BundleError?
        for descriptor in descriptors {
            var status = stat()
            if fstat(descriptor, &status) != 0 || status.st_mode & S_IFMT != S_IFREG {
                problem = BundleError(.refused, "it is no regular file")
                break
            }
            parts.append(Part(descriptor: descriptor, start: size, size: Int64(status.st_size)))
            let (sum, overflow) = size.addingReportingOverflow(Int64(status.st_size))
            if overflow { problem = BundleError(.refused, "it is larger than any disk") }
            size = overflow ? size : sum
        }
        if let problem {
            for descriptor in descriptors { close(descriptor) }
            throw problem
        }
        self.parts = parts
        self.size = size
    }

    deinit {
        for part in self.parts { close(part.descriptor) }
    }

    /// The one file that this is; nil when it is several.
    package var descriptor: CInt? { self.parts.count == 1 ? self.parts[0].descriptor : nil }

    /// Reads up to `count` bytes at `offset`; fewer only at the end. Blocks.
    package func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var done = 0
        for part in self.parts where offset + Int64(done) < part.start + part.size {
            while done < buffer.count {
                let position = offset + Int64(done) - part.start
                let wanted = Int(min(Int64(buffer.count - done), part.size - position))
                guard wanted > 0, let base = buffer.baseAddress else { break }
                let count = pread(part.descriptor, base + done, wanted, off_t(position))
                if count < 0 {
                    if errno == EINTR { continue }
                    throw BundleError(.unreadable, "it cannot be read: \(String(cString: strerror(errno)))")
                }
                // Shorter than it was a moment ago.
                if count == 0 { return done }
                done += count
            }
            if done == buffer.count { break }
        }
        return done
    }
}

/// A piece of content in a bundle.
package struct BundlePiece: Sendable {
    private enum Backing: Sendable {
        case file(BundleFile, offset: Int64)
        case memory([UInt8])
    }

    private let backing: Backing
    /// Bytes.
    package let size: Int64

    package init(_ file: BundleFile, offset: Int64 = 0, size: Int64) {
        self.backing = .file(file, offset: offset)
        self.size = size
    }

    package init(_ bytes: [UInt8]) {
        self.backing = .memory(bytes)
        self.size = Int64(bytes.count)
    }

    /// The file that is this piece and nothing else.
    package var wholeFile: CInt? {
        guard case .file(let file, offset: 0) = self.backing, file.size == self.size else { return nil }
        return file.descriptor
    }

    /// The file in which it lies, and where.
    var place: (file: BundleFile, offset: Int64)? {
        guard case .file(let file, let offset) = self.backing else { return nil }
        return (file, offset)
    }

    /// Reads up to `count` bytes at an offset within it; fewer only at its end. Blocks.
    package func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let wanted = Int(min(Int64(buffer.count), self.size - offset))
        guard wanted > 0 else { return 0 }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
        switch self.backing {
        case .file(let file, let start):
            let count = try file.read(at: start + offset, into: part)
            guard count == wanted else { throw BundleError(.unreadable, "it was shortened while it was read") }
            return count
        case .memory(let bytes):
            bytes.withUnsafeBytes {
                part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + wanted]))
            }
            return wanted
        }
    }

    /// The whole of a document. Blocks.
    package func contents() throws -> [UInt8] {
        guard self.size <= Int64(Limits.Bundles.document) else {
            throw BundleError(.refused, "it has a document of \(self.size) bytes; more than 4 MiB are none")
        }
        var bytes = [UInt8](repeating: 0, count: Int(self.size))
        _ = try bytes.withUnsafeMutableBytes { try self.read(at: 0, into: $0) }
        return bytes
    }

    /// Hashes it. Blocks for as long as that takes.
    ///
    /// - Parameter goesOn: told how many bytes came; false ends it.
    /// - Returns: nil when it was ended.
    package func digest(_ algorithm: Digest.Algorithm, goesOn: (Int) -> Bool = { _ in true }) throws -> Digest? {
        var verifier = DigestVerifier(algorithm)
        var isEnded = false
        try self.forEachPart { bytes in
            verifier.update(bytes)
            isEnded = !goesOn(bytes.count)
            return !isEnded
        }
        return isEnded ? nil : verifier.digest()
    }

    /// Calls `body` with all of its bytes, from an offset on, until it says false. Blocks.
    package func forEachPart(from start: Int64 = 0, _ body: (UnsafeRawBufferPointer) throws -> Bool) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        var offset = start
        while offset < self.size {
            let count = try self.read(at: offset, into: buffer)
            guard count > 0, try body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
            offset += Int64(count)
        }
    }
}
