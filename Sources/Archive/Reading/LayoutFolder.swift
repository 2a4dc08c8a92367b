import OCI

/// An image layout that is a folder. Only what is asked for is opened; what else lies there nobody looks at.
struct LayoutFolder: BundleSource {
    let opener: any BundleOpener

    func document(_ member: BundleMember) throws -> [UInt8]? { try self.open(member)?.contents() }

    func piece(_ digest: Digest) throws -> BundlePiece? { try self.open(.blob(digest)) }

    private func open(_ member: BundleMember) throws -> BundlePiece? {
        guard let descriptor = try self.opener.open(member) else { return nil }
        do {
            return BundlePiece(whole: try BundleFile([descriptor]))
        } catch let error as BundleError where error.code == .refused {
            throw BundleError(.refused, "its \(member.path) is no regular file")
        }
    }

    var contents: [Digest]? { nil }

    func release(_ piece: BundlePiece) {}
}
