import Glibc
import OCI
import SystemPackage

/// A store as it is, for those who only read: no lock is taken and nothing is repaired, so it works beside a running server, and
/// on a disk that cannot be written to.
///
/// What it knows is what the journal said when it was opened, up to the last good line; a compaction that comes meanwhile
/// leaves it on the old, complete file.
package struct StoreReader: Sendable {
    package let root: StoreRoot
    package let identity: StoreIdentity
    package let catalog: Catalog
    /// How the journal was found; nil when there is none.
    package let replay: JournalReplay?
    /// Who had the store when it was opened, or how the last one left it.
    package let lock: StoreLock.State

    /// Blocks for as long as the journal is long.
    ///
    /// - Throws: `StorageError.unusable` when there is no store, `.tooNew` when it was written by a newer version.
    package init(opening path: FilePath) throws {
        let root = try StoreRoot(opening: path)
        guard let identity = try StoreIdentity.read(from: root) else {
            throw StorageError(.unusable, "\(path) is not an Amargo store: it has no \(StoreLayout.storeFile)")
        }
        let catalog = Catalog()
        self.lock = try StoreLock.state(in: root)
        self.replay = try Self.replay(root, identity, into: catalog)
        self.root = root
        self.identity = identity
        self.catalog = catalog
    }

    /// The same store as it is now. Blocks.
    package func reopened() throws -> StoreReader { try StoreReader(opening: self.root.path) }

    /// For callers that have the folder as text.
    package init(folder: String) throws { try self.init(opening: FilePath(folder)) }

    private static func replay(_ root: StoreRoot, _ identity: StoreIdentity, into catalog: Catalog) throws -> JournalReplay? {
        let descriptor: CInt
        do {
            descriptor = try root.open(StoreLayout.journal, O_RDONLY | O_NOFOLLOW)
        } catch let error as StorageError where error.code == .notFound {
            return nil
        }
        defer { close(descriptor) }
        let replay = try JournalReplay.readAhead(descriptor, store: identity.id) { record, _ in catalog.apply(record) }
        if replay.hasRequiredUnknown {
            throw StorageError(.tooNew, "the journal holds a line that this version of Amargo must not ignore")
        }
        return replay
    }
}
