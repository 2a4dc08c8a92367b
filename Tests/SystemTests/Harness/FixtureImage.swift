import Foundation

/// An image made here: its blobs in a folder, the manifests that name them, and the digest a tag shall point to.
struct FixtureImage: Sendable {
    struct Platform: Codable, Hashable, Sendable {
        let os: String
        let architecture: String

        var text: String { "\(self.os)/\(self.architecture)" }
    }

    struct Descriptor: Codable, Sendable {
        let mediaType: String
        let digest: String
        let size: Int
        var platform: Platform?
    }

    /// `<hex>` of every blob and manifest.
    let folder: URL
    let blobs: [Descriptor]
    /// In the order in which a registry accepts them: children before the index.
    let manifests: [Descriptor]
    let root: Descriptor

    func file(_ descriptor: Descriptor) -> URL {
        self.folder.appendingPathComponent(String(descriptor.digest.dropFirst("sha256:".count)))
    }
}
