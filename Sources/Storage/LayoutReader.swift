import OCI

/// Reads names back from the repositories' layouts, for a store whose journal is gone.
///
/// A layout says which tags a repository had and which content; when an upstream last confirmed them it does not say, so
/// every tag counts as expired. Nothing read here is believed to be content: blobs are adopted by hash alone.
struct LayoutReader {
    static let indexLimit = 64 << 20

    let root: StoreRoot

    /// Hands over a record for every tag and every link that the layouts hold. Blocks.
    func records(_ emit: (JournalRecord) -> Void) {
        for repository in LayoutFolders(root: self.root).all() { self.read(repository, emit) }
    }

    private func read(_ repository: QualifiedRepository, _ emit: (JournalRecord) -> Void) {
        for algorithm in Digest.Algorithm.allCases {
            for name in LayoutFolders(root: self.root).names(in: StoreLayout.layoutBlobs(algorithm, in: repository)) {
                guard let digest = Digest(algorithm, hex: Array(name.utf8)) else { continue }
                emit(.link(digest, repository))
            }
        }
        do {
            guard let bytes = try self.root.contents(of: StoreLayout.layoutIndex(repository), limit: Self.indexLimit) else {
                return
            }
            for entry in try LayoutEntry.all(in: bytes) {
                guard let tag = entry.tag else { continue }
                emit(.tag(tag, repository, entry.digest, fetchedAt: 0))
            }
        } catch {
            return  // a damaged index names nothing; its content is found by the sweep all the same
        }
    }
}
