import OCI
import Storage

/// What people want to have exported.
package struct ExportRequest: Sendable {
    package struct Image: Hashable, Sendable {
        package let repository: QualifiedRepository
        package let reference: Reference

        package init(repository: QualifiedRepository, reference: Reference) {
            self.repository = repository
            self.reference = reference
        }

        package var name: String {
            switch self.reference {
            case .tag(let tag): "\(self.repository):\(tag)"
            case .digest(let digest): "\(self.repository)@\(digest)"
            }
        }
    }

    package enum Selection: Sendable {
        case images([Image])
        /// Everything that the store has.
        case all
    }

    package var selection: Selection
    /// Only these platforms of indexes; empty for all.
    package var platforms: [PlatformChoice] = []
    /// What the other side has.
    package var receipt: Receipt?

    package init(_ selection: Selection) { self.selection = selection }
}

/// What goes into a bundle, and what does not and why.
package struct ExportPlan: Sendable {
    package struct Member: Hashable, Sendable {
        package let digest: Digest
        package let size: Int64
    }

    /// The blobs that are written, in their order.
    package let members: [Member]
    /// The bytes of `index.json`.
    package let index: [UInt8]
    /// In the order in which they were asked for.
    package let images: [ExportedImage]
    /// Bytes of the blobs that are written.
    package let byteCount: Int64
    /// Blobs that are needed and that the other side has, and their bytes.
    package let sparedBlobs: Int
    package let sparedBytes: Int64

    package var isEmpty: Bool { self.images.allSatisfy { $0.state == .leftOut } }
    package var hasGaps: Bool { self.images.contains { !$0.gaps.isEmpty } }
    package var leftOut: Int { self.images.lazy.filter { $0.state == .leftOut }.count }
}
