import OCI
import Storage

/// What lies in a store's folder beside `blobs/`, by asking the file system for each file.
package struct FolderScan: Sendable {
    /// Bytes of the disk.
    fileprivate(set) var space = StoreSpace()
    /// Bytes of the disk of content in image layouts, by inode: most of it is a link to a blob.
    fileprivate(set) var linked: [UInt64: Int64] = [:]

    /// Blocks: it looks at every file of every layout.
    package init(_ root: StoreRoot) throws {
        var below: [String] = []
        let own = try root.visit(nil) { entry in
            let name = entry.name
            guard let status = entry.status() else { return }
            if status.isFolder { return below.append(name) }
            if name.hasPrefix(StoreLayout.journal.name) {
                self.space.journal += status.allocated
            } else {
                self.space.other += status.allocated
            }
        }
        self.space.folders = own?.allocated ?? 0
        var elsewhere: Set<UInt64> = []
        for name in below {
            guard let path = StoreLayout.found(name, in: nil) else { continue }
            switch path {
            case StoreLayout.blobs: break
            case StoreLayout.repositories: try self.addLayouts(path, root)
            case StoreLayout.spool: self.space.spool += try Self.bytes(path, root, &elsewhere)
            case StoreLayout.quarantine: self.space.quarantine += try Self.bytes(path, root, &elsewhere)
            default: self.space.other += try Self.bytes(path, root, &elsewhere)
            }
        }
        self.space.free = root.availableBytes
        self.space.isMeasured = true
    }

    /// All that is below a folder, and the folder; a file of several names once.
    private static func bytes(_ path: StorePath, _ root: StoreRoot, _ seen: inout Set<UInt64>) throws -> Int64 {
        var bytes: Int64 = 0
        var waiting = [path]
        while let next = waiting.popLast() {
            let own = try root.visit(next) { entry in
                guard let status = entry.status() else { return }
                if status.isFolder {
                    if let found = StoreLayout.found(entry.name, in: next) { waiting.append(found) }
                } else if status.linkCount == 1 || seen.insert(status.inode).inserted {
                    bytes += status.allocated
                }
            }
            bytes += own?.allocated ?? 0
        }
        return bytes
    }

    private mutating func addLayouts(_ path: StorePath, _ root: StoreRoot) throws {
        var waiting = [path]
        while let next = waiting.popLast() {
            let own = try root.visit(next) { entry in
                if entry.isSurelyFolder {
                    if let found = StoreLayout.found(entry.name, in: next) { waiting.append(found) }
                    return
                }
                guard let status = entry.status() else { return }
                if status.isFolder {
                    if let found = StoreLayout.found(entry.name, in: next) { waiting.append(found) }
                } else if Digest.Algorithm(rawValue: next.name) != nil {
                    self.linked[status.inode] = status.allocated
                } else {
                    self.space.folders += status.allocated
                }
            }
            self.space.folders += own?.allocated ?? 0
        }
    }
}

extension StoreSpace {
    /// - Parameter usage: made with the same scan of the blobs.
    package init(_ folder: FolderScan, _ blobs: BlobScan, _ usage: DiskUsage, maxSize: Int64, minFree: Int64) {
        self = folder.space
        self.folders += blobs.folders
        for (inode, bytes) in folder.linked where !blobs.inodes.contains(inode) { self.copies += bytes }
        self.unknown = blobs.allocated - usage.allocated
        self.maxSize = maxSize
        self.minFree = minFree
    }
}
