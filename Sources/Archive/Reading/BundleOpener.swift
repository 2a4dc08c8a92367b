import Glibc
import OCI

/// What a bundle is, before anything of it is read: told by whoever opened it to whoever reads it.
package struct BundleInput: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        /// A folder that is an image layout.
        case folder
        /// An archive: a file, the parts of one that was split, or a pipe.
        case archive
    }

    /// As its bringer calls it.
    package let name: String
    package let kind: Kind
    /// The names of an archive's parts, in their order; one for an archive that is whole.
    package let parts: [String]
    /// What each part should be; empty when nobody says.
    package let checksums: [Digest]

    package init(name: String, kind: Kind, parts: [String] = [], checksums: [Digest] = []) {
        self.name = name
        self.kind = kind
        self.parts = parts
        self.checksums = checksums
    }
}

/// Opens what a bundle consists of.
package protocol BundleOpener: Sendable {
    /// A part of an archive, for reading; the caller owns the descriptor. Blocks.
    func open(part: Int) throws -> CInt
    /// A member of a folder; nil when it has none of that name. Blocks.
    func open(_ member: BundleMember) throws -> CInt?
}
