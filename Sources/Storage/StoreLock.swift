import CLinux
import Glibc
import Synchronization
import SystemPackage

/// The right to change a store: an open-file-description lock on `store.lock`, held for the life of the process.
///
/// The file is never renamed or removed and nobody ever breaks the lock: the kernel frees it with the process.
/// Its text (pid and role) is for people, and is there after an end that was none. Source: fcntl(2), "Open file description locks".
package final class StoreLock: Sendable {
    private let descriptor: Mutex<CInt>
    /// Whether the last holder ended without saying that everything was written.
    let wasAbandoned: Bool

    /// Takes the lock or says who holds it.
    package init(in root: StoreRoot, role: String) throws {
        let descriptor = try root.open(StoreLayout.lock, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        guard clinux_lock(descriptor) == 0 else {
            let errno = Errno.current
            defer { close(descriptor) }
            guard errno == .resourceTemporarilyUnavailable || errno == .permissionDenied else {
                throw StorageError(errno, "lock \(root.path)/\(StoreLayout.lock)")
            }
            throw StorageError(.inUse, "the store \(root.path) is in use by \(Self.holder(descriptor) ?? "another process")")
        }
        self.descriptor = Mutex(descriptor)
        self.wasAbandoned = Self.size(of: descriptor) > 0
        // A full disk must not keep the lock from being held. Whatever fails, the file does not stay empty: that would say that the last
        // end was a clean one. Synced, since after a power cut it says that there was one.
        let text = Array("\(getpid()) \(role)\n".utf8)
        let written = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        _ = ftruncate(descriptor, off_t(max(1, written)))
        _ = fdatasync(descriptor)
    }

    private static func size(of descriptor: CInt) -> Int64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
    }

    deinit {
        self.release()
    }

    /// Gives the lock back before the process ends. Whoever calls this changes nothing any more.
    func release() {
        self.descriptor.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    /// Leaves word for `state(in:)` that everything was written before the end.
    func noteCleanEnd() { self.descriptor.withLock { _ = ftruncate($0, 0) } }

    package enum State: Hashable, Sendable {
        /// A process has the store open; who, for people.
        case held(String)
        /// The last process wrote everything before it ended.
        case closed
        /// The last process was killed, or the power went.
        case abandoned
    }

    /// What the lock says to somebody who does not take it.
    package static func state(in root: StoreRoot) throws -> State {
        let descriptor: CInt
        do {
            descriptor = try root.open(StoreLayout.lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        } catch let error as StorageError where error.code == .notFound {
            return .closed
        }
        defer { close(descriptor) }
        let holder = Self.holder(descriptor)
        if clinux_is_locked(descriptor) == 1 { return .held(holder ?? "another process") }
        return Self.size(of: descriptor) == 0 ? .closed : .abandoned
    }

    /// Who is said to hold the lock, for people: `amargo serve (pid 12)`.
    static func holder(_ descriptor: CInt) -> String? {
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        let text = String(decoding: buffer[..<count].filter { $0 >= 0x20 && $0 < 0x7F }, as: UTF8.self)
        let parts = text.split(separator: " ", maxSplits: 1)
        guard let pid = parts.first, pid.allSatisfy(\.isNumber) else { return nil }
        return "\(parts.count > 1 ? "amargo \(parts[1])" : "another process") (pid \(pid))"
    }

    /// As above, of the store in a folder; nil when there is none or it says nothing.
    package static func holder(of root: StoreRoot) -> String? {
        guard let descriptor = try? root.open(StoreLayout.lock, O_RDONLY | O_NOFOLLOW) else { return nil }  // then nobody is said
        defer { close(descriptor) }
        return Self.holder(descriptor)
    }
}
