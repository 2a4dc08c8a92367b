import Glibc
import OCI
import SystemPackage

/// `store.json`: what the folder is and which format it has.
package struct StoreIdentity: Sendable, Hashable {
    /// Eight hex digits that tie the journal to this store.
    package let id: String

    /// Opens the store at `path`, creating it when the folder is missing or empty.
    ///
    /// Nothing is changed in a folder that is not ours: one of another owner, one that others may write to, one that
    /// holds other things, one of a newer format.
    package static func open(at path: FilePath, role: String) throws -> (StoreRoot, StoreLock, StoreIdentity) {
        try Self.makeFolder(path)
        let root = try StoreRoot(opening: path)
        try Self.checkOwnership(of: root)
        let entries = try root.entries(of: nil)
        if let stranger = entries.first(where: { !StoreLayout.isOwn(rootEntry: $0) }) {
            throw StorageError(
                .unusable,
                "\(path) is not an Amargo store: it contains \"\(stranger)\"; choose an empty or missing folder")
        }
        // Read once before the lock, so that a newer store is refused without a change, and believed only after it: somebody
        // else may be making the store at this moment.
        _ = try Self.read(from: root)
        let lock = try StoreLock(in: root, role: role)
        if let existing = try Self.read(from: root) {
            try Self.makeFolders(in: root, durable: false)
            return (root, lock, existing)
        }
        try Self.makeFolders(in: root, durable: true)
        var generator = SystemRandomNumberGenerator()
        let hex = String(UInt32.random(in: 0x1000_0000...UInt32.max, using: &generator), radix: 16)
        let text = "{\"amargo\":\"store\",\"format\":\(StoreLayout.format),\"id\":\"\(hex)\"}\n"
        try root.replace(StoreLayout.storeFile, by: StoreLayout.newStoreFile, with: Array(text.utf8))
        return (root, lock, StoreIdentity(id: hex))
    }

    static func read(from root: StoreRoot) throws -> StoreIdentity? {
        guard let bytes = try root.contents(of: StoreLayout.storeFile, limit: 4096), !bytes.isEmpty else { return nil }
        var format: Int64?
        var id: String?
        do {
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch key {
                        case "format": format = try reader.integer()
                        case "id": id = try reader.string()
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            throw StorageError(.unusable, "\(root.path)/\(StoreLayout.storeFile) cannot be read: it \(error)")
        }
        guard let format, let id else {
            throw StorageError(.unusable, "\(root.path)/\(StoreLayout.storeFile) lacks a format or an id")
        }
        guard format <= StoreLayout.format else {
            throw StorageError(
                .tooNew, "the store \(root.path) has format \(format); this version of Amargo knows \(StoreLayout.format)")
        }
        return StoreIdentity(id: id)
    }

    private static func makeFolder(_ path: FilePath) throws {
        var status = stat()
        if path.withPlatformString({ stat($0, &status) }) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else {
                throw StorageError(.unusable, "the store \(path) is not a folder")
            }
            return
        }
        if Errno.current == .permissionDenied, StoreRoot.isKept(path) { return }
        var parent = path
        if parent.removeLastComponent(), !parent.isEmpty, parent != path, parent.withPlatformString({ access($0, F_OK) }) != 0 {
            try Self.makeFolder(parent)
        }
        guard path.withPlatformString({ mkdir($0, 0o700) }) == 0 || Errno.current == .fileExists else {
            throw StorageError(.current, "make the store's folder \(path)")
        }
    }

    private static func checkOwnership(of root: StoreRoot) throws {
        let status = try root.ownStatus()
        let path = root.path
        guard status.st_uid == geteuid() else {
            throw StorageError(
                .unusable, "the store \(path) belongs to user \(status.st_uid), not to user \(geteuid()) who runs Amargo")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw StorageError(
                .unusable, "the store \(path) can be written to by others; take that right away with chmod go-w \(path)")
        }
    }

    private static func makeFolders(in root: StoreRoot, durable: Bool) throws {
        var created = false
        for path in [StoreLayout.spool, StoreLayout.repositories, StoreLayout.quarantine] {
            created = try root.makeDirectory(path, mode: 0o700) || created
        }
        for algorithm in Digest.Algorithm.allCases {
            let folder = StoreLayout.algorithm(algorithm)
            // An existing store has all its shards: they are made and synced before `store.json` is.
            guard try durable || root.makeDirectory(folder, mode: 0o755) else { continue }
            try root.makeDirectory(folder, mode: 0o755)
            for number in UInt8.min...UInt8.max {
                try root.makeDirectory(StoreLayout.shard(algorithm, number), mode: 0o755)
            }
            try root.synchronizeDirectory(folder)
            created = true
        }
        guard created else { return }
        try root.synchronizeDirectory(StoreLayout.blobs)
        try root.synchronizeDirectory(nil)
    }
}
