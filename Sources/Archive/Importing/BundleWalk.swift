import OCI
import Storage

/// What is stored where a bundle is brought to: a delta needs it.
package protocol BundleShelf: Sendable {
    /// Bytes of stored content; nil when there is none. Blocks.
    func size(of digest: Digest) -> Int64?
    /// A stored manifest's bytes. Blocks.
    func document(_ digest: Digest) throws -> [UInt8]?
}

/// Nothing is stored.
package struct EmptyShelf: BundleShelf {
    package init() {}

    package func size(of digest: Digest) -> Int64? { nil }
    package func document(_ digest: Digest) -> [UInt8]? { nil }
}

/// Goes from the descriptors of a bundle to everything they need, reading manifests only.
final class BundleWalk {
    private struct Known {
        let manifest: IncomingImage.StoredManifest
        let subject: Digest?
    }

    private let bundle: Bundle
    private let shelf: any BundleShelf
    private var known: [Digest: Known] = [:]
    /// Sizes of what is there, in the bundle or on the shelf; nil for what is in neither.
    private var sizes: [Digest: Int64?] = [:]
    /// What was found for a root, so that a hundred names of one image cost what one does.
    private var found: [Digest: (chosen: Set<String>?, findings: Findings)] = [:]
    /// References that were followed, and those of all manifests that are in memory.
    private var references = 0
    private var keptReferences = 0

    init(_ bundle: Bundle, _ shelf: any BundleShelf) {
        self.bundle = bundle
        self.shelf = shelf
    }

    /// What one image consists of, gathered on the way.
    struct Findings {
        var manifests: [IncomingImage.StoredManifest] = []
        var blobs: [(digest: Digest, size: Int64)] = []
        var missing: [Digest] = []
        var platforms: [String] = []
        var absentPlatforms: [String] = []
        fileprivate var seen: Set<Digest> = []
    }

    /// What a manifest is about, if it says so.
    func subject(of root: BundleRoot) throws -> Digest? {
        try self.manifest(root.entry.digest, root.entry.size, root.entry.mediaType)?.subject
    }

    func findings(for root: BundleRoot) throws -> Findings {
        if let known = self.found[root.entry.digest], known.chosen == root.platforms { return known.findings }
        var findings = Findings()
        try self.visit(root.entry.digest, root.entry.size, root.entry.mediaType, root.platforms, depth: 0, &findings)
        self.found[root.entry.digest] = (root.platforms, findings)
        return findings
    }

    private func visit(
        _ digest: Digest, _ size: Int64, _ type: MediaType?, _ chosen: Set<String>?, depth: Int, _ findings: inout Findings
    ) throws {
        guard depth <= Limits.Bundles.depth else {
            throw BundleError(.refused, "it has more than \(Limits.Bundles.depth) indexes within each other")
        }
        guard findings.seen.insert(digest).inserted else { return }
        guard let known = try self.manifest(digest, size, type) else {
            findings.missing.append(digest)
            return
        }
        var stored = 0
        var images = 0
        try self.count(known.manifest, &self.references)
        for edge in known.manifest.facts.children {
            if edge.role == .manifest {
                images += 1
                if try self.isThere(edge.digest, edge.size) {
                    stored += 1
                    try self.visit(edge.digest, edge.size, nil, chosen, depth: depth + 1, &findings)
                    if depth == 0, let platform = edge.platform { findings.platforms.append(platform) }
                } else if let platform = edge.platform, chosen?.contains(platform) == true {
                    findings.missing.append(edge.digest)
                } else {
                    findings.absentPlatforms.append(edge.platform ?? "\(edge.digest)")
                }
            } else if try self.isThere(edge.digest, edge.size) {
                if findings.seen.insert(edge.digest).inserted { findings.blobs.append((edge.digest, edge.size)) }
            } else if edge.role != .foreignLayer, findings.seen.insert(edge.digest).inserted {
                findings.missing.append(edge.digest)
            }
        }
        // An index without any of its images leads nowhere.
        if images > 0, stored == 0 {
            findings.missing += known.manifest.facts.children.lazy.filter { $0.role == .manifest }.map(\.digest)
        }
        findings.manifests.append(known.manifest)
    }

    private func count(_ manifest: IncomingImage.StoredManifest, _ references: inout Int) throws {
        references += manifest.facts.children.count
        guard references <= Limits.Bundles.references else {
            throw BundleError(
                .refused, "\(self.bundle.input.name): its images name more than \(Limits.Bundles.references) pieces of content")
        }
    }

    /// Whether content is in the bundle or on the shelf; it has to be as large as who names it says.
    private func isThere(_ digest: Digest, _ size: Int64) throws -> Bool {
        let found: Int64?
        if let known = self.sizes[digest] {
            found = known
        } else {
            found = try self.bundle.piece(digest)?.size ?? self.shelf.size(of: digest)
            self.sizes[digest] = .some(found)
        }
        guard let found else { return false }
        guard found <= Limits.Bundles.blob else {
            throw BundleError(.refused, "\(self.bundle.input.name): \(digest) has \(found) bytes, more than any layer")
        }
        guard found == size else {
            throw BundleError(
                .refused, "\(self.bundle.input.name): \(digest) has \(found) bytes, and what needs it says \(size)")
        }
        return true
    }

    private func manifest(_ digest: Digest, _ size: Int64, _ type: MediaType?) throws -> Known? {
        guard try self.isThere(digest, size) else { return nil }
        if let known = self.known[digest] { return known }
        let name = "\(self.bundle.input.name): the manifest \(digest)"
        guard size <= Int64(Manifest.maximumSize) else { throw BundleError(.refused, "\(name) is larger than 4 MiB") }
        guard let bytes = try self.bundle.piece(digest)?.contents() ?? self.shelf.document(digest) else { return nil }
        let known = try bytes.withUnsafeBytes { bytes in
            guard Digest(digest.algorithm, of: bytes) == digest else {
                throw BundleError(.damaged, "\(name) is damaged: its bytes are others")
            }
            // What says nothing of itself is what it is said to be.
            guard let type = type.flatMap({ $0.isManifest ? $0 : nil }) ?? Manifest.declaredType(of: bytes) else {
                throw BundleError(.refused, "\(name) is none that Amargo knows")
            }
            do throws(ManifestError) {
                let manifest = try Manifest(parsing: bytes, as: type)
                return Known(
                    manifest: .init(digest: digest, size: size, facts: ManifestFacts(manifest)), subject: manifest.subject?.digest
                )
            } catch {
                throw BundleError(.refused, "\(name) \(error)")
            }
        }
        try self.count(known.manifest, &self.keptReferences)
        self.known[digest] = known
        return known
    }
}
