import CLinux
import Glibc
import SystemPackage

/// The right to change a store: an open-file-description lock on `store.lock`, held for the life of the process.
///
/// The file is never renamed or removed and nobody ever breaks the lock: the kernel frees it with the process.
/// Its text (pid and role) is for people. Source: fcntl(2), "Open file description locks".
package final class StoreLock: Sendable {
    private let descriptor: CInt

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
        self.descriptor = descriptor
        let text = Array("\(getpid()) \(role)\n".utf8)
        // The text only helps people; a full disk must not keep the lock from being held.
        _ = ftruncate(descriptor, 0)
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }

    deinit {
        close(self.descriptor)
    }

    private static func holder(_ descriptor: CInt) -> String? {
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        let text = String(decoding: buffer[..<count].filter { $0 >= 0x20 && $0 < 0x7F }, as: UTF8.self)
        let parts = text.split(separator: " ", maxSplits: 1)
        guard let pid = parts.first, pid.allSatisfy(\.isNumber) else { return nil }
        return "\(parts.count > 1 ? "amargo \(parts[1])" : "another process") (pid \(pid))"
    }
}
