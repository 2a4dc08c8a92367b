import Foundation

/// A new empty directory that removes itself, with all it holds, when the last reference goes.
///
/// Keep it alive for the whole test: `withExtendedLifetime(directory) { … }` or a stored property of the suite.
package final class TemporaryDirectory: Sendable {
    package let path: String

    package init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("amargo-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        self.path = url.path
    }

    /// The path of an entry below the directory; nothing is created.
    package func path(_ components: String...) -> String {
        ([self.path] + components).joined(separator: "/")
    }

    deinit {
        // Best effort: a test that leaves the directory unreadable has failed already.
        try? FileManager.default.removeItem(atPath: self.path)
    }
}
