import OCI
import Storage

/// An image of a bundle: what it is called, what it consists of, and what of that is nowhere.
package struct BundleImage: Sendable {
    package let digest: Digest
    package let repository: QualifiedRepository
    package var names: [IncomingImage.Name]
    /// Children before those that name them.
    package let manifests: [IncomingImage.StoredManifest]
    /// Configurations, layers and whatever else is no manifest, with their sizes.
    package let blobs: [(digest: Digest, size: Int64)]
    /// What neither the bundle nor the store has.
    package let missing: [Digest]
    /// `os/architecture[/variant]` of an index's images that are there.
    package let platforms: [String]
    /// The same of those that are not.
    package let absentPlatforms: [String]
    /// Whether it is only there for another image: a signature, an attestation.
    package let isAttachment: Bool
    package let subject: Digest?
    /// What it is attached to, by its own word or by its tag.
    package let attachedTo: Digest?

    /// For people.
    package var title: String {
        guard let first = self.names.first else { return "\(self.repository)@\(self.digest)" }
        return "\(self.repository):\(first.tag)" + self.names.dropFirst().map { ", :\($0.tag)" }.joined()
    }

    /// Everything that belongs to it.
    package var contents: [(digest: Digest, size: Int64)] { self.blobs + self.manifests.map { ($0.digest, $0.size) } }

    package var bytes: Int64 { self.contents.reduce(0) { $0 + $1.size } }
}
