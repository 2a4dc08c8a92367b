import OCI
import Storage

/// What lies in a store's folder beside `blobs/`, by asking the file system for each file.
package struct FolderScan: Sendable {
    /// Bytes of the disk.
    fileprivate(set) var space = StoreSpace()
    /// Names of content in image layouts; nearly always each is a link to a blob.
    fileprivate(set) var links = 0
    /// Where they lie.
    private var contentFolders: [StorePath] = []

    /// Blocks: it reads every folder of every layout.
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
            let own = self.visit(next, root) { space, _, entry in
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
        while let next = waiting.popLast() {
            let isContent = Digest.Algorithm(rawValue: next.name) != nil
            let own = self.visit(next, root) { space, links, entry in
                if entry.isSurelyFolder {
                    if let found = StoreLayout.found(entry.name, in: next) { waiting.append(found) }
                } else if isContent {
                    links += 1
                } else if let status = entry.status(), !status.isFolder {
                    space.folders += status.allocated
                } else if let found = StoreLayout.found(entry.name, in: next) {
                    waiting.append(found)
                }
            }
            if isContent { self.contentFolders.append(next) }
            self.space.folders += own?.allocated ?? 0
        }
    }

    /// Bytes of the disk of what lies among the links and is no link to a blob. Blocks: it looks at each of them.
    fileprivate func copies(_ blobs: BlobScan, _ root: StoreRoot) -> Int64 {
        var known = Set(blobs.inodes)
        var bytes: Int64 = 0
        for folder in self.contentFolders {
            // What cannot be read was not counted among the links either.
            _ = try? root.visit(folder) { entry in
                guard let status = entry.status(), !status.isFolder, known.insert(status.inode).inserted else { return }
                bytes += status.allocated
            }
        }
        return bytes
    }

    /// Goes through a folder, if it can be read and is one.
    private mutating func visit(
        _ path: StorePath, _ root: StoreRoot, _ body: (inout StoreSpace, inout Int, StoreRoot.Entry) -> Void
    ) -> StoreRoot.FileStatus? {
        do {
            return try root.visit(path) { body(&self.space, &self.links, $0) }
        } catch {
            self.space.unreadable += 1
            return nil
        }
    }
}

extension StoreSpace {
    /// Blocks for a look at every link of the layouts if there are not as many of them as blobs say that they have further names.
    ///
    /// - Parameter usage: made with the same scan of the blobs.
    package init(_ folder: FolderScan, _ blobs: BlobScan, _ usage: DiskUsage, in root: StoreRoot) {
        self = folder.space
        self.folders += blobs.folders
        if folder.links != blobs.furtherNames { self.copies = folder.copies(blobs, root) }
        self.unknown = blobs.allocated - usage.allocated
    }
}
