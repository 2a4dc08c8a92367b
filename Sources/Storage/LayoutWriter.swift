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
    private let gate: PublishingGate
    private let pending = Mutex<[QualifiedRepository: Pending]>([:])
    /// Repositories whose links were all checked since the start; the others get every link on their first write.
    private let complete = Mutex<Set<QualifiedRepository>>([])

    /// - Parameter gate: keeps removals away while links are made.
    init(root: StoreRoot, catalog: Catalog, gate: PublishingGate) {
        self.root = root
        self.catalog = catalog
        self.gate = gate
    }

    /// Notes that a repository holds new content, or with nil that its names changed. Never blocks.
    package func note(_ digest: Digest?, in repository: QualifiedRepository) {
        self.pending.withLock { pending in
            pending[repository, default: Pending()].links.formUnion(digest.map { [$0] } ?? [])
        }
    }

    /// Has every layout looked at: one whose changes a crash has lost is behind what the journal knows.
    package func noteAll() {
        let repositories = self.catalog.allRepositories
        self.pending.withLock { pending in
            for repository in repositories where pending[repository] == nil { pending[repository] = Pending() }
        }
    }

    /// Notes that a repository's layout is to be looked at as if by a new process: with every link.
    func noteAll(in repository: QualifiedRepository, and digests: some Sequence<Digest>) {
        self.complete.withLock { _ = $0.remove(repository) }
        self.note(nil, in: repository)
        for digest in digests { self.note(digest, in: repository) }
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
                try self.gate.publishing { try self.write(repository, changes) }
            } catch {
                failures.append((repository, error))
                // Tried again the next time.
                self.pending.withLock { $0[repository, default: Pending()].links.formUnion(changes.links) }
            }
        }
        return failures
    }

    private func write(_ repository: QualifiedRepository, _ changes: Pending) throws {
        guard self.catalog.isHeld(repository) else { return try self.remove(repository) }
        let isFirst = self.complete.withLock { !$0.contains(repository) }
        let links = isFirst ? self.known(to: repository).union(changes.links) : changes.links
        if isFirst { try self.prepare(repository) }
        // What was noted a moment ago may have been evicted since, and come back for another repository.
        for digest in links where self.catalog.contains(digest) && self.catalog.holds(digest, in: repository) {
            try self.link(digest, in: repository)
        }
        let index = Self.index(of: repository, self.catalog)
        // What cannot be read, such as a link that somebody put there, is replaced.
        let present = try? self.root.contents(of: StoreLayout.layoutIndex(repository), limit: index.count)
        if present != index {
            try self.root.replace(
                StoreLayout.layoutIndex(repository), by: StoreLayout.newLayoutIndex(repository), with: index)
        }
        self.complete.withLock { _ = $0.insert(repository) }
    }

    /// Makes the link of one blob, unless it is there.
    private func link(_ digest: Digest, in repository: QualifiedRepository) throws {
        let target = StoreLayout.layoutBlob(digest, in: repository)
        do {
            // `unsupported` (too many links, no links here): the journal alone knows, as designed.
            if try self.root.link(StoreLayout.blob(digest), to: target) == .exists { try self.renew(target, for: digest) }
        } catch let error as StorageError where error.code == .notFound {
            // Either the folder is new or the blob is gone; the second is found out by whoever asks for it.
            guard let folder = target.parent, try self.root.makeDirectory(folder) else { return }
            _ = try self.root.link(StoreLayout.blob(digest), to: target)
        }
    }

    /// Makes every link that is missing, as a crash may have left the store. Blocks for as long as there are blobs.
    ///
    /// - Returns: false when it was stopped or something could not be linked.
    func relink(isStopped: () -> Bool) -> Bool {
        var isComplete = true
        self.catalog.forEachHolding { digest, repositories in
            guard !isStopped() else {
                isComplete = false
                return false
            }
            for repository in repositories {
                do {
                    try self.gate.publishing {
                        if self.catalog.holds(digest, in: repository) { try self.link(digest, in: repository) }
                    }
                } catch {
                    isComplete = false
                }
            }
            return true
        }
        return isComplete
    }

    /// Whether everything that was noted is written.
    var isSettled: Bool { self.pending.withLock { $0.isEmpty } }

    /// What a repository holds, as far as its manifests tell.
    private func known(to repository: QualifiedRepository) -> Set<Digest> {
        var known = self.catalog.manifests(of: repository)
        for manifest in known { known.formUnion(self.catalog.content(manifest)?.manifest?.children.map(\.digest) ?? []) }
        return known.filter { self.catalog.holds($0, in: repository) }
    }

    /// Removes the layout of a repository of which nothing is left, and the folders that were there for it alone.
    private func remove(_ repository: QualifiedRepository) throws {
        self.complete.withLock { _ = $0.remove(repository) }
        for file in [
            StoreLayout.layoutIndex(repository), StoreLayout.newLayoutIndex(repository), StoreLayout.layoutFile(repository),
            StoreLayout.newLayoutFile(repository),
        ] { try self.root.removeIfThere(file) }
        for algorithm in Digest.Algorithm.allCases {
            _ = try self.root.removeDirectory(StoreLayout.layoutBlobs(algorithm, in: repository))
        }
        var folder = StoreLayout.layoutBlobs(.sha256, in: repository).parent
        while let path = folder, path != StoreLayout.repositories, try self.root.removeDirectory(path) { folder = path.parent }
    }

    /// Replaces a link to a file that is no longer the store's: its blob was damaged or removed, and fetched again.
    private func renew(_ target: StorePath, for digest: Digest) throws {
        guard let blob = try self.root.status(of: StoreLayout.blob(digest)), let there = try self.root.status(of: target),
            blob.inode != there.inode
        else { return }
        try self.root.remove(target)
        _ = try self.root.link(StoreLayout.blob(digest), to: target)
    }

    /// The whole of `oci-layout`.
    static let version = Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8)

    private func prepare(_ repository: QualifiedRepository) throws {
        try self.root.makeDirectory(StoreLayout.layout(repository))
        guard try self.root.status(of: StoreLayout.layoutFile(repository)) == nil else { return }
        try self.root.replace(
            StoreLayout.layoutFile(repository), by: StoreLayout.newLayoutFile(repository),
            with: Self.version)
    }

    /// `index.json`: a descriptor a tag, then one for every manifest that neither a tag nor another manifest leads to.
    static func index(of repository: QualifiedRepository, _ catalog: Catalog) -> [UInt8] {
        let tags = catalog.tags(in: repository).sorted { $0.key.description < $1.key.description }
        var manifests: [(Digest, Int64, ManifestFacts)] = []
        var reachable = Set(tags.map(\.value.digest))
        for digest in catalog.manifests(of: repository).sorted() {
            guard let content = catalog.content(digest), let facts = content.manifest else { continue }
            manifests.append((digest, content.size, facts))
            reachable.formUnion(facts.children.lazy.filter { $0.role == .manifest }.map(\.digest))
        }
        var entries: [String] = []
        for (tag, entry) in tags {
            guard let content = catalog.content(entry.digest), let facts = content.manifest else { continue }
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
