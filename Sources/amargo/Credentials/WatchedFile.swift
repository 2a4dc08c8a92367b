import Foundation
import Synchronization

/// A small file that may change while it is needed. What it said last holds when it can no longer be read: a process that has become
/// the store's owner may not read what root could.
final class WatchedFile: Sendable {
    private static let limit = 1 << 20

    let path: String
    private let last: Mutex<String>

    /// - Throws: `SettingsError` that names the file.
    init(_ path: String) throws {
        self.path = path
        self.last = Mutex(try Self.read(path))
    }

    /// Reads the file. Blocks.
    var text: String {
        guard let text = try? Self.read(self.path) else { return self.last.withLock { $0 } }
        self.last.withLock { $0 = text }
        return text
    }

    private static func read(_ path: String) throws -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw SettingsError("\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { try? handle.close() }  // it was only read
        guard let data = try handle.read(upToCount: Self.limit + 1), data.count <= Self.limit else {
            throw SettingsError("\(path) is empty or larger than \(Self.limit) bytes")
        }
        guard let text = String(data: data, encoding: .utf8) else { throw SettingsError("\(path) is no UTF-8 text") }
        return text
    }
}
