import Glibc

/// Looks at files, and changes them, without the code under test.
package enum Disk {
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode)
        guard descriptor >= 0 else { throw TestSupportError(.system, "cannot write \(path): errno \(errno)") }
        defer { close(descriptor) }
        try Self.append(bytes, to: descriptor)
    }

    /// A file that is gone when its descriptor is closed; the caller closes it.
    package static func unnamedFile(holding bytes: [UInt8]) throws -> CInt {
        var template = Array("/tmp/amargo-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw TestSupportError(.system, "mkstemp failed: errno \(errno)") }
        unlink(template)
        try Self.append(bytes, to: descriptor)
        return descriptor
    }

    package static func append(_ bytes: [UInt8], to descriptor: CInt) throws {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset) }
            guard count > 0 else { throw TestSupportError(.system, "write failed: errno \(errno)") }
            offset += count
        }
    }

    package static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw TestSupportError(.system, "cannot read \(path): errno \(errno)") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw TestSupportError(.system, "cannot read \(path): errno \(errno)") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    package static func text(_ path: String) throws -> String { String(decoding: try Self.read(path), as: UTF8.self) }

    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    package static func status(_ path: String) throws -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw TestSupportError(.system, "nothing at \(path): errno \(errno)") }
        return status
    }

    package static func inode(_ path: String) throws -> UInt64 { UInt64(try Self.status(path).st_ino) }

    package static func makeFolder(_ path: String, mode: mode_t = 0o755) throws {
        guard mkdir(path, mode) == 0, chmod(path, mode) == 0 else {
            throw TestSupportError(.system, "cannot make \(path): errno \(errno)")
        }
    }

    package static func setMode(_ mode: mode_t, of path: String) throws {
        guard chmod(path, mode) == 0 else { throw TestSupportError(.system, "cannot chmod \(path): errno \(errno)") }
    }

    /// Cuts a file, or ends it in a hole.
    package static func setSize(_ size: Int64, of path: String) throws {
        guard truncate(path, off_t(size)) == 0 else { throw TestSupportError(.system, "cannot truncate \(path): errno \(errno)") }
    }

    package static func remove(_ path: String) throws {
        guard unlink(path) == 0 || rmdir(path) == 0 else {
            throw TestSupportError(.system, "cannot remove \(path): errno \(errno)")
        }
    }

    package static func makePipe(_ path: String) throws {
        guard mkfifo(path, 0o644) == 0 else { throw TestSupportError(.system, "cannot make \(path): errno \(errno)") }
    }

    package static func move(_ path: String, to target: String) throws {
        guard rename(path, target) == 0 else { throw TestSupportError(.system, "cannot move \(path): errno \(errno)") }
    }

    package static func link(_ target: String, at path: String) throws {
        guard symlink(target, path) == 0 else { throw TestSupportError(.system, "cannot link \(path): errno \(errno)") }
    }

    /// The names in a folder, sorted.
    package static func names(in path: String) throws -> [String] {
        guard let stream = opendir(path) else { throw TestSupportError(.system, "cannot list \(path): errno \(errno)") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
