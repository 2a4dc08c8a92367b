import Foundation

/// A new, empty directory.
struct TemporaryDirectory: Sendable {
    let url: URL

    init() throws {
        // Short, since the path of a Unix socket below it has to fit into 107 bytes.
        let name = "amargo-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        self.url = FileManager.default.temporaryDirectory.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: self.url, withIntermediateDirectories: false)
    }

    /// A new file for a program to write to.
    func file(_ name: String) throws -> (url: URL, handle: FileHandle) {
        let url = self.url.appendingPathComponent(name)
        try Data().write(to: url)
        return (url, try FileHandle(forWritingTo: url))
    }

    func remove() {
        // Best effort: what is left over lies in the system's temporary directory.
        try? FileManager.default.removeItem(at: self.url)
    }
}
