import Archive
import OCI
import Storage
import Synchronization

/// For which platform an image is that no index describes: its configuration says so. Looked up for the images that are shown.
final class ConfigPlatforms: Sendable {
    /// Images that are remembered.
    private static let limit = 10_000
    /// Bytes of a configuration that is looked at.
    private static let size: Int64 = 1 << 20

    private let store: ContentStore
    private let known = Mutex<[Digest: String?]>([:])

    init(_ store: ContentStore) {
        self.store = store
    }

    /// Nil when the configuration is not here, or says nothing. Blocks.
    func platform(of manifest: Digest) -> String? {
        if let known = self.known.withLock({ $0[manifest] }) { return known }
        guard let edge = self.store.catalog.content(manifest)?.manifest?.children.first(where: { $0.role == .config }),
            let size = self.store.catalog.size(of: edge.digest), size <= Self.size
        else { return nil }
        let platform = self.read(edge.digest, size).flatMap { Platform(configuration: $0) }?.description
        self.known.withLock { known in
            if known.count >= Self.limit { known.removeAll() }
            known[manifest] = .some(platform)
        }
        return platform
    }

    private func read(_ digest: Digest, _ size: Int64) -> [UInt8]? {
        guard case .success(let file) = self.store.openNow(digest) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        // What cannot be read now is a matter for whoever pulls it.
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.read(at: 0, into: $0) }), count == bytes.count else {
            return nil
        }
        return bytes
    }
}
