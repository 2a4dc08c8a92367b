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
                let part = StoreLayout.isOwn(rootEntry: name) ? \StoreSpace.folders : \StoreSpace.other
                self.space[keyPath: part] += status.allocated
            }
        }
        self.space.folders += own?.allocated ?? 0
        var elsewhere: Set<UInt64> = []
        for name in below {
            guard let path = StoreLayout.found(name, in: nil) else { continue }
            switch path {
            case StoreLayout.blobs: break
            case StoreLayout.repositories: self.addLayouts(path, root)
            case StoreLayout.spool: self.add(path, to: \.spool, root, &elsewhere)
            case StoreLayout.quarantine: self.add(path, to: \.quarantine, root, &elsewhere)
            default: self.add(path, to: \.other, root, &elsewhere)
            }
        }
        self.space.free = root.availableBytes
        self.space.isMeasured = true
    }

    /// Adds all that is below a folder; a file of several names once.
    private mutating func add(
        _ path: StorePath, to part: WritableKeyPath<StoreSpace, Int64>, _ root: StoreRoot, _ seen: inout Set<UInt64>
    ) {
        var waiting = [path]
        while let next = waiting.popLast() {
            let own = self.visit(next, root) { space, entry in
                guard let status = entry.status() else { return }
                if status.isFolder {
                    if let found = StoreLayout.found(entry.name, in: next) { waiting.append(found) }
                } else if status.linkCount == 1 || seen.insert(status.inode).inserted {
                    space[keyPath: part] += status.allocated
                }
            }
            self.space.folders += own?.allocated ?? 0
        }
    }

    private mutating func addLayouts(_ path: StorePath, _ root: StoreRoot) {
        var waiting = [path]
        var linked: [UInt64: Int64] = [:]
        while let next = waiting.popLast() {
            let isContent = Digest.Algorithm(rawValue: next.name) != nil
            let own = self.visit(next, root) { space, entry in
                if !entry.isSurelyFolder, let status = entry.status(), !status.isFolder {
                    if isContent {
                        linked[status.inode] = status.allocated
                    } else {
                        space.folders += status.allocated
                    }
                } else if let found = StoreLayout.found(entry.name, in: next) {
                    waiting.append(found)
                }
            }
            self.space.folders += own?.allocated ?? 0
        }
        self.linked = linked
    }

    /// Goes through a folder, if it can be read and is one.
    private mutating func visit(
        _ path: StorePath, _ root: StoreRoot, _ body: (inout StoreSpace, StoreRoot.Entry) -> Void
    ) -> StoreRoot.FileStatus? {
        do {
            return try root.visit(path) { body(&self.space, $0) }
        } catch {
            self.space.unreadable += 1
            return nil
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
