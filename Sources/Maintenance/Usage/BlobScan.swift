import OCI
import Storage

/// What the files in `blobs/` take on the disk, by asking the file system for each: the bytes that coreutils' `du` counts.
package struct BlobScan: Sendable {
    /// What is called by a digest, and under the same number the bytes of the disk that it takes.
    private(set) var digests: [Digest] = []
    private(set) var bytes: [Int64] = []
    /// The inode of every file.
    private(set) var inodes: [UInt64] = []
    /// How many names these files have elsewhere.
    private(set) var furtherNames = 0
    /// Files, whether they are called by a digest or not.
    package private(set) var count = 0
    /// Bytes of the disk of all files.
    package private(set) var allocated: Int64 = 0
    /// Bytes of the disk of the folders that they lie in.
    package private(set) var folders: Int64 = 0

    /// Blocks: it looks at every blob.
    package init(_ root: StoreRoot) throws {
        try self.add(StoreLayout.blobs, .sha256, depth: 0, root)
    }

    private mutating func add(_ path: StorePath, _ algorithm: Digest.Algorithm, depth: Int, _ root: StoreRoot) throws {
        var below: [(StorePath, Digest.Algorithm)] = []
        func addFolder(_ name: String) {
            guard let found = StoreLayout.found(name, in: path) else { return }
            below.append((found, depth == 0 ? Digest.Algorithm(rawValue: name) ?? algorithm : algorithm))
        }
        // "sha256:" and the digits that the name has.
        var text = Array("\(algorithm.rawValue):".utf8)
        let prefix = text.count
        let status = try root.visit(path) { entry in
            if entry.isSurelyFolder { return addFolder(entry.name) }
            guard let status = entry.status() else { return }
            if status.isFolder { return addFolder(entry.name) }
            self.count += 1
            self.allocated += status.allocated
            self.furtherNames += status.linkCount - 1
            self.inodes.append(status.inode)
            guard depth == 2, status.isRegular else { return }
            text.removeSubrange(prefix...)
            text += entry.nameBytes
            guard let digest = text.withUnsafeBytes({ Digest(parsing: $0) }) else { return }
            self.digests.append(digest)
            self.bytes.append(status.allocated)
        }
        self.folders += status?.allocated ?? 0
        for (path, algorithm) in below { try self.add(path, algorithm, depth: depth + 1, root) }
    }
}
