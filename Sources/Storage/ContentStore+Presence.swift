import OCI

/// Whether what the catalog knows is on the disk, too.
extension ContentStore {
    /// Looks for stored content where it should be, and at its size alone. What is missing is forgotten, what is damaged goes to
    /// quarantine, as if it had been asked for. Blocks.
    package func isPresent(_ digest: Digest) -> Bool {
        guard let content = self.catalog.content(digest) else { return false }
        do {
            if let status = try self.root.status(of: StoreLayout.blob(digest)), status.isRegular, status.size == content.size {
                return true
            }
        } catch {
            return false  // whoever opens it says why it cannot be read
        }
        // Opening it finds out what is wrong, and does what has to be done.
        if case .success = self.openNow(digest) { return true }
        return false
    }
}
