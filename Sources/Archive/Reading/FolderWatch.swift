import CLinux
import Glibc

/// Tells the names of what has come into a folder: closed by who wrote it, or renamed into it.
package final class FolderWatch: Sendable {
    /// `IN_Q_OVERFLOW`: names were lost.
    private static let overflow: UInt32 = 0x4000

    package enum News: Hashable, Sendable {
        case names([String])
        /// So much has come that only the folder itself knows all of it.
        case tooMany
    }

    private let descriptor: CInt

    package init(_ folder: String) throws {
        self.descriptor = clinux_watch(folder)
        guard self.descriptor >= 0 else {
            throw BundleError(.unreadable, "\(folder) cannot be watched: \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        close(self.descriptor)
    }

    /// What has come since the last time. Does not wait.
    package func news() -> News {
        var names: [String] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = read(self.descriptor, &buffer, buffer.count)
            guard count > 0 else { return .names(names) }
            var position = 0
            // struct inotify_event: wd, mask, cookie, len, and a name that is filled up with NULs.
            while position + 16 <= count {
                let (mask, length) = buffer.withUnsafeBytes { bytes in
                    (
                        bytes.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self),
                        Int(bytes.loadUnaligned(fromByteOffset: position + 12, as: UInt32.self))
                    )
                }
                if mask & Self.overflow != 0 { return .tooMany }
                let name = buffer[(position + 16)..<min(count, position + 16 + length)].prefix { $0 != 0 }
                let text = String(decoding: name, as: UTF8.self)
                if !text.isEmpty, !names.contains(text) { names.append(text) }
                position += 16 + length
            }
        }
    }
}
