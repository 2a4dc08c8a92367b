import OCI
import Storage

/// What the files in `blobs/` take on the disk, by asking the file system for each: the bytes that coreutils' `du` counts.
package struct BlobScan: Sendable {
    /// Bytes of the disk by digest.
    private var files: [Digest: Int64] = [:]
    /// Every inode, so that a link elsewhere is known for one.
    private(set) var inodes: Set<UInt64> = []
    /// Files, whether they are called by a digest or not.
    package private(set) var count = 0
    /// Bytes of the disk of all files. A file of two names counts once.
    package private(set) var allocated: Int64 = 0
    /// Bytes of the disk of the folders that they lie in.
    package private(set) var folders: Int64 = 0

    /// Bytes of the disk of a blob; nil when there is no such file.
    package func allocated(_ digest: Digest) -> Int64? { self.files[digest] }

    /// Blocks: it looks at every blob.
    ///
    /// - Parameter expected: about how many blobs there are.
    package init(_ root: StoreRoot, expected: Int = 0) throws {
        self.files.reserveCapacity(expected)
        self.inodes.reserveCapacity(expected)
        try self.add(StoreLayout.blobs, .sha256, depth: 0, root)
    }

    private mutating func add(_ path: StorePath, _ algorithm: Digest.Algorithm, depth: Int, _ root: StoreRoot) throws {
        var below: [(StorePath, Digest.Algorithm)] = []
        // "sha256:" and the digits that the name has.
        var text = Array("\(algorithm.rawValue):".utf8)
        let prefix = text.count
        let status = try root.visit(path) { entry in
            if entry.isSurelyFolder {
                let name = entry.name
                guard let found = StoreLayout.found(name, in: path) else { return }
                return below.append((found, depth == 0 ? Digest.Algorithm(rawValue: name) ?? algorithm : algorithm))
            }
            guard let status = entry.status() else { return }
            if status.isFolder {
                let name = entry.name
                guard let found = StoreLayout.found(name, in: path) else { return }
                return below.append((found, depth == 0 ? Digest.Algorithm(rawValue: name) ?? algorithm : algorithm))
            }
            self.count += 1
            let isNew = self.inodes.insert(status.inode).inserted
            if isNew { self.allocated += status.allocated }
            guard depth == 2, status.isRegular else { return }
            text.removeSubrange(prefix...)
            text += entry.nameBytes
            if let digest = text.withUnsafeBytes({ Digest(parsing: $0) }) { self.files[digest] = isNew ? status.allocated : 0 }
        }
        self.folders += status?.allocated ?? 0
        for (path, algorithm) in below { try self.add(path, algorithm, depth: depth + 1, root) }
    }
}
