import OCI
import Synchronization

/// Keeps each repository's folder an OCI image layout whose blobs are hard links into the store.
///
/// Layouts are derived: losing one loses nothing. A repository is written at most once a second, its links first and its
/// `index.json` last, so that whoever copies the folder gets a complete layout or one that lacks the newest image.
/// Source: image spec, "Image Layout".
package final class LayoutWriter: Sendable {
    private struct Pending {
        var links: Set<Digest> = []
    }

    private let root: StoreRoot
    private let catalog: Catalog
    private let pending = Mutex<[QualifiedRepository: Pending]>([:])
    /// Repositories whose links were all checked since the start; the others get every link on their first write.
    private let complete = Mutex<Set<QualifiedRepository>>([])

    init(root: StoreRoot, catalog: Catalog) {
        self.root = root
        self.catalog = catalog
    }

    /// Notes that a repository holds new content, or with nil that its names changed. Never blocks.
    package func note(_ digest: Digest?, in repository: QualifiedRepository) {
        self.pending.withLock { pending in
            pending[repository, default: Pending()].links.formUnion(digest.map { [$0] } ?? [])
        }
    }

    /// Writes every layout that changed. Blocks; returns what could not be written.
    package func flush() -> [(QualifiedRepository, any Error)] {
        let batch = self.pending.withLock { pending in
            defer { pending = [:] }
            return pending
        }
        var failures: [(QualifiedRepository, any Error)] = []
        for (repository, changes) in batch {
            do {
                try self.write(repository, changes)
            } catch {
                failures.append((repository, error))
            }
        }
        return failures
    }

    private func write(_ repository: QualifiedRepository, _ changes: Pending) throws {
        let isFirst = self.complete.withLock { !$0.contains(repository) }
        let links = isFirst ? self.catalog.contents(of: repository) : changes.links
        if isFirst { try self.prepare(repository) }
        for digest in links where self.catalog.content(digest) != nil {
            let target = StoreLayout.layoutBlob(digest, in: repository)
            do {
                // `unsupported` (too many links, no links here): the journal alone knows, as designed.
                if try self.root.link(StoreLayout.blob(digest), to: target) == .exists { try self.renew(target, for: digest) }
            } catch let error as StorageError where error.code == .notFound {
                // Either the folder is new or the blob is gone; the second is found out by whoever asks for it.
                guard let folder = target.parent, try self.root.makeDirectory(folder) else { continue }
                _ = try self.root.link(StoreLayout.blob(digest), to: target)
            }
        }
        try self.root.replace(
            StoreLayout.layoutIndex(repository), by: StoreLayout.newLayoutIndex(repository), with: self.index(of: repository))
        self.complete.withLock { _ = $0.insert(repository) }
    }

    /// Replaces a link to a file that is no longer the store's: its blob was damaged or removed, and fetched again.
    private func renew(_ target: StorePath, for digest: Digest) throws {
        guard let blob = try self.root.status(of: StoreLayout.blob(digest)), let there = try self.root.status(of: target),
            blob.inode != there.inode
        else { return }
        try self.root.remove(target)
        _ = try self.root.link(StoreLayout.blob(digest), to: target)
    }

    private func prepare(_ repository: QualifiedRepository) throws {
        try self.root.makeDirectory(StoreLayout.layout(repository))
        guard try self.root.status(of: StoreLayout.layoutFile(repository)) == nil else { return }
        try self.root.replace(
            StoreLayout.layoutFile(repository), by: StoreLayout.newLayoutFile(repository),
            with: Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8))
    }

    /// `index.json`: a descriptor a tag, then one for every manifest that neither a tag nor another manifest leads to.
    private func index(of repository: QualifiedRepository) -> [UInt8] {
        let tags = self.catalog.tags(in: repository).sorted { $0.key.description < $1.key.description }
        var manifests: [(Digest, Int64, ManifestFacts)] = []
        var reachable = Set(tags.map(\.value.digest))
        for digest in self.catalog.contents(of: repository).sorted() {
            guard let content = self.catalog.content(digest), let facts = content.manifest else { continue }
            manifests.append((digest, content.size, facts))
            reachable.formUnion(facts.children.lazy.filter { $0.role == .manifest }.map(\.digest))
        }
        var entries: [String] = []
        for (tag, entry) in tags {
            guard let content = self.catalog.content(entry.digest), let facts = content.manifest else { continue }
            entries.append(
                Self.descriptor(
                    entry.digest, content.size, facts.mediaType,
                    annotations: ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"\(tag)\"}"))
        }
        for (digest, size, facts) in manifests where !reachable.contains(digest) {
            entries.append(Self.descriptor(digest, size, facts.mediaType, annotations: ""))
        }
        let list = entries.joined(separator: ",\n")
        return Array(
            "{\"schemaVersion\":2,\"mediaType\":\"\(MediaType.ociIndex)\",\"manifests\":[\n\(list)\n]}\n".utf8)
    }

    private static func descriptor(_ digest: Digest, _ size: Int64, _ type: MediaType, annotations: String) -> String {
        "{\"mediaType\":\"\(type)\",\"digest\":\"\(digest)\",\"size\":\(size)\(annotations)}"
    }
}
