import Glibc
import OCI

/// How a repository's layout compares with what the catalog says of the repository.
package struct LayoutCondition: Sendable {
    package enum Document: Sendable {
        case current
        case missing
        /// Not a file, or not what it should be.
        case unreadable
        /// Well formed, but it says something else than the catalog.
        case outdated
    }

    package enum Depth: Sendable {
        /// Names and documents.
        case names
        /// Whether each link is the same file as the blob, too.
        case inodes
    }

    /// Links that should be there: the blob is, and can take another link.
    package private(set) var missing: [Digest] = []
    /// Links that are not the same file as the blob.
    package private(set) var foreign: [Digest] = []
    /// Links to what the repository does not hold.
    package private(set) var leftover: [Digest] = []
    /// Names among the links that this program does not give.
    package private(set) var strangers: [StorePath] = []
    package private(set) var index = Document.current
    package private(set) var version = Document.current
    /// Whether the repository holds anything; one that does not should have no layout.
    package let isHeld: Bool
    /// Links that are as they should be.
    package private(set) var soundLinks = 0

    /// File systems allow from 32,000 links to a file upwards; beyond, the journal alone knows, as designed.
    private static let linkLimit = 32_000

    package var isSound: Bool {
        self.missing.isEmpty && self.foreign.isEmpty && self.leftover.isEmpty && self.index == .current
            && self.version == .current
    }

    /// Looks at a layout. Blocks.
    ///
    /// - Parameters:
    ///   - held: what the repository holds, present or not.
    ///   - hasLinks: false when the file system knows no hard links: none is missing then.
    package init(
        of repository: QualifiedRepository, holding held: some Sequence<Digest>, _ catalog: Catalog, in root: StoreRoot,
        depth: Depth, hasLinks: Bool = true
    ) throws {
        let expected = Set(held.lazy.filter { catalog.contains($0) })
        self.isHeld = catalog.isHeld(repository) && !expected.isEmpty
        var found: Set<Digest> = []
        for algorithm in Digest.Algorithm.allCases {
            let folder = StoreLayout.layoutBlobs(algorithm, in: repository)
            for name in try root.entries(of: folder) {
                guard let digest = Digest(algorithm, hex: Array(name.utf8)) else {
                    self.strangers += [StoreLayout.found(name, in: folder)].compactMap { $0 }
                    continue
                }
                found.insert(digest)
            }
        }
        for digest in found.sorted() { try self.judge(digest, isExpected: expected.contains(digest), repository, root, depth) }
        for digest in hasLinks ? expected.subtracting(found).sorted() : [] {
            guard let blob = try root.status(of: StoreLayout.blob(digest)), blob.isRegular, blob.linkCount < Self.linkLimit else {
                continue
            }
            self.missing.append(digest)
        }
        self.index = Self.index(repository, catalog, root, isHeld: self.isHeld)
        self.version = Self.document(StoreLayout.layoutFile(repository), root, isHeld: self.isHeld) { $0 == LayoutWriter.version }
    }

    private mutating func judge(
        _ digest: Digest, isExpected: Bool, _ repository: QualifiedRepository, _ root: StoreRoot, _ depth: Depth
    ) throws {
        guard isExpected else { return self.leftover.append(digest) }
        guard depth == .inodes else { return self.soundLinks += 1 }
        // A missing blob is the blob's finding, not the link's.
        guard let blob = try root.status(of: StoreLayout.blob(digest)) else { return }
        guard let link = try root.status(of: StoreLayout.layoutBlob(digest, in: repository)) else {
            return self.missing.append(digest)
        }
        if link.isRegular, link.inode == blob.inode { self.soundLinks += 1 } else { self.foreign.append(digest) }
    }

    private static func index(
        _ repository: QualifiedRepository, _ catalog: Catalog, _ root: StoreRoot, isHeld: Bool
    ) -> Document {
        let expected = LayoutWriter.index(of: repository, catalog)
        return Self.document(StoreLayout.layoutIndex(repository), root, isHeld: isHeld) { bytes in
            if bytes == expected { return true }
            // Another version of this program may write the same otherwise.
            let (there, wanted) = (try LayoutEntry.all(in: bytes), try LayoutEntry.all(in: expected))
            return Set(there) == Set(wanted) && there.count == wanted.count
        }
    }

    private static func document(
        _ path: StorePath, _ root: StoreRoot, isHeld: Bool, _ isCurrent: ([UInt8]) throws -> Bool
    ) -> Document {
        do {
            guard let status = try root.status(of: path) else { return isHeld ? .missing : .current }
            guard isHeld else { return .outdated }
            guard status.isRegular, let bytes = try root.contents(of: path, limit: LayoutReader.indexLimit) else {
                return .unreadable
            }
            return try isCurrent(bytes) ? .current : .outdated
        } catch {
            return .unreadable
        }
    }
}

/// What each repository holds: the catalog's table turned round. A copy; not for event loops.
package struct Holdings: Sendable {
    package private(set) var contents: [QualifiedRepository: [Digest]] = [:]

    package init(_ catalog: Catalog) {
        catalog.forEachContent { digest, _, _ in
            for repository in catalog.repositories(holding: digest) { self.contents[repository, default: []].append(digest) }
        }
    }
}
