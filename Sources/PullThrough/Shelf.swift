import OCI
import Storage
import Upstream

/// What is stored, as one repository may have it.
///
/// What came from a registry that anybody may read, all repositories of such registries may have. What came from one with credentials
/// belongs to the repositories that are known to hold it: knowing a digest is no right to read it. Elsewhere the registry decides,
/// asked by HEAD.
struct Shelf: Sendable {
    let store: ContentStore
    let source: RoutedRepository

    private var repository: QualifiedRepository { self.source.repository }

    /// Content that may be served without asking. Never blocks.
    func content(_ digest: Digest) -> Catalog.Content? {
        guard let content = self.store.catalog.content(digest) else { return nil }
        return self.store.mayHave(digest, in: self.repository) ? content : nil
    }

    /// As `content`; the repository holds it from now on.
    func take(_ digest: Digest) -> Catalog.Content? {
        guard let content = self.content(digest) else { return nil }
        if !self.store.catalog.holds(digest, in: self.repository) { self.store.link(digest, to: self.repository) }
        return content
    }

    /// Whether content is here for the repository, also after a look at the disk and, for another repository's content, a question.
    ///
    /// - Parameter confirm: asks the upstream for the size of what it has under this digest; nil when it does not say.
    func has(_ digest: Digest, _ confirm: () async throws -> Int64?) async throws -> Bool {
        // Nobody knows where content came from that is found on the disk.
        let repository = self.store.keepsRepositoriesApart ? nil : self.repository
        guard try await self.store.run({ self.store.adopt(digest, in: repository) }) else { return false }
        if self.content(digest) != nil { return true }
        guard let stored = self.store.catalog.content(digest) else { return false }
        let size = try await confirm()
        guard size == nil || size == stored.size else {
            throw PullThroughError(
                .invalidUpstreamResponse, "the upstream says that \(digest) has \(size ?? 0) bytes; it has \(stored.size)")
        }
        self.store.link(digest, to: self.repository)
        return true
    }

    /// Whether everything that a stored manifest needs is stored as well: for an image its config and layers, for an index at
    /// least one image.
    func isComplete(_ facts: ManifestFacts) -> Bool {
        if facts.mediaType.isIndex {
            return facts.children.isEmpty
                || facts.children.contains { edge in
                    guard let child = self.content(edge.digest)?.manifest else { return false }
                    return !child.mediaType.isIndex && self.isComplete(child)
                }
        }
        return facts.children.allSatisfy { $0.role == .foreignLayer || self.content($0.digest) != nil }
    }
}
