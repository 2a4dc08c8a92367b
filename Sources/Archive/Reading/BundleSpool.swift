import Glibc
import OCI
import Storage
import Synchronization

/// Where a bundle is put that can be read only once, from its beginning to its end: packed, or coming through a pipe.
package protocol BundleSpool: Sendable {
    /// A file without a name.
    func makeFile() throws -> CInt
    /// Makes sure that there is room for so many bytes in all.
    func reserve(_ total: Int64) throws
    /// Takes note that so many bytes of it are no longer needed.
    func release(_ bytes: Int64)
}

/// A spool on the store's own disk, whose bytes count like a download's.
package final class StoreSpool: BundleSpool {
    private let store: ContentStore
    private let namespace: Namespace
    private let room = Mutex<Reservation?>(nil)

    package init(_ store: ContentStore, namespace: Namespace) {
        self.store = store
        self.namespace = namespace
    }

    package func makeFile() throws -> CInt { try self.store.makeScratchFile() }

    package func reserve(_ total: Int64) throws {
        try self.room.withLock { room in
            if room == nil { room = try self.store.capacity.reserve(0, for: self.namespace) }
            try room?.extend(to: total)
            room?.note(written: total)
        }
    }

    package func release(_ bytes: Int64) { self.room.withLock { $0?.release(bytes) } }
}

/// A spool in the folder for temporary files, for those that have no store.
package struct TemporarySpool: BundleSpool {
    private let folder: String

    package init(folder: String) {
        self.folder = folder
    }

    package func makeFile() throws -> CInt {
        var name = Array("\(self.folder)/amargo-bundle-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else {
            throw BundleError(.unreadable, "no file can be made in \(self.folder): \(String(cString: strerror(errno)))")
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(name)
        return descriptor
    }

    package func reserve(_ total: Int64) {}
    package func release(_ bytes: Int64) {}
}

/// Puts what comes through a pipe, or comes packed, into a file that can be read at any place.
struct Spooling {
    /// Room is made sure of in steps of this many bytes.
    private static let step: Int64 = 4 << 20

    let spool: any BundleSpool
    /// Told how many bytes came since the last time; false ends it.
    let goesOn: @Sendable (Int) -> Bool

    /// - Parameter read: fills a buffer as far as there is something; 0 at the end.
    func spool(_ read: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> BundleFile {
        let descriptor = try self.spool.makeFile()
        do {
            try self.fill(descriptor, read)
        } catch {
            close(descriptor)
            throw error
        }
        return try BundleFile([descriptor])
    }

    private func fill(_ descriptor: CInt, _ read: (UnsafeMutableRawBufferPointer) throws -> Int) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        var count = try Self.readPrefix(read, into: buffer)
        guard count > 0 else { throw BundleError(.refused, "it is empty") }
        let compression = Compression(buffer.prefix(min(count, Compression.prefix)))
        try compression.check()
        var sink = Sink(descriptor: descriptor, spool: self.spool, step: Self.step)
        if compression == .gzip {
            var gzip = GzipReader()
            while count > 0 {
                guard self.goesOn(count) else { throw CancellationError() }
                try gzip.take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { try sink.write($0) }
                count = try read(buffer)
            }
            try gzip.finish()
            guard Compression(sink.prefix) == .none else {
                throw BundleError(.refused, "what its gzip data becomes is packed once more; unpack it first")
            }
        } else {
            while count > 0 {
                guard self.goesOn(count) else { throw CancellationError() }
                try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                count = try read(buffer)
            }
        }
    }

    /// At least as many bytes as tell the compression, unless there are fewer.
    private static func readPrefix(
        _ read: (UnsafeMutableRawBufferPointer) throws -> Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        var count = 0
        while count < Compression.prefix {
            let more = try read(UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            if more == 0 { break }
            count += more
        }
        return count
    }

    private struct Sink {
        let descriptor: CInt
        let spool: any BundleSpool
        let step: Int64
        var size: Int64 = 0
        var reserved: Int64 = 0
        var prefix: [UInt8] = []

        mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
            if self.prefix.count < Compression.prefix { self.prefix += bytes.prefix(Compression.prefix - self.prefix.count) }
            if self.size + Int64(bytes.count) > self.reserved {
                self.reserved = self.size + Int64(bytes.count) + self.step
                try self.spool.reserve(self.reserved)
            }
            var rest = bytes
            while let base = rest.baseAddress, rest.count > 0 {
                let count = pwrite(self.descriptor, base, rest.count, off_t(self.size))
                if count < 0 {
                    if errno == EINTR { continue }
                    throw BundleError(
                        errno == ENOSPC || errno == EDQUOT ? .full : .unreadable,
                        "it cannot be put aside to be read: \(String(cString: strerror(errno)))")
                }
                self.size += Int64(count)
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
