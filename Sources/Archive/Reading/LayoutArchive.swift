import CLinux
import OCI

/// An image layout that is an archive, whose members are read where they are.
struct LayoutArchive: BundleSource {
    let file: BundleFile
    let directory: TarDirectory
    /// What the archive was put into, if it is not somebody's file.
    let spool: (any BundleSpool)?

    func document(_ member: BundleMember) throws -> [UInt8]? {
        try self.directory.members[member].map { try self.piece(at: $0).contents() }
    }

    func piece(_ digest: Digest) -> BundlePiece? { self.directory.members[.blob(digest)].map(self.piece(at:)) }

    func piece(at place: TarDirectory.Place) -> BundlePiece { BundlePiece(self.file, offset: place.offset, size: place.size) }

    var contents: [Digest]? {
        self.directory.members.keys.compactMap { if case .blob(let digest) = $0 { digest } else { nil } }.sorted()
    }

    func release(_ piece: BundlePiece) {
        guard let spool, let (file, offset) = piece.place, file === self.file, let descriptor = file.descriptor else { return }
        // A file system that cannot do this keeps the room until the end.
        if clinux_punch_hole(descriptor, offset, piece.size) == 0 { spool.release(piece.size) }
    }
}
