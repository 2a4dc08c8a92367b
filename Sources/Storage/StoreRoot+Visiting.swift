import Glibc
import SystemPackage

extension StoreRoot {
    /// An entry of a folder, while that is open.
    package struct Entry {
        fileprivate let folder: CInt
        fileprivate let pointer: UnsafePointer<CChar>
        private let type: Int

        fileprivate init(folder: CInt, pointer: UnsafePointer<CChar>, type: Int) {
            self.folder = folder
            self.pointer = pointer
            self.type = type
        }

        /// Without an end mark; valid as long as the entry.
        package var nameBytes: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: self.pointer, count: strlen(self.pointer))
        }

        package var name: String { String(cString: self.pointer) }

        /// False for what the folder does not say: then only `status` knows.
        package var isSurelyFolder: Bool { self.type == Int(DT_DIR) }

        /// Links not followed; nil when it has gone meanwhile, or cannot be looked at.
        package func status() -> FileStatus? {
            var status = stat()
            return fstatat(self.folder, self.pointer, &status, AT_SYMLINK_NOFOLLOW) == 0 ? FileStatus(status) : nil
        }
    }

    /// Calls `body` with every entry of a folder but `.` and `..`, in no order. Blocks.
    ///
    /// Each look at an entry is one system call, which for very many files is what counts.
    ///
    /// - Returns: what the folder itself is; nil when it is missing.
    @discardableResult
    package func visit(_ path: StorePath?, _ body: (Entry) throws -> Void) throws -> FileStatus? {
        let directory: CInt
        if let path {
            do {
                directory = try self.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            } catch let error as StorageError where error.code == .notFound {
                return nil
            }
        } else {
            directory = try self.openAgain()
        }
        guard let stream = fdopendir(directory) else {
            let errno = Errno.current
            close(directory)
            throw StorageError(errno, "list \(path?.description ?? "the store's folder")")
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let type = Int(entry.pointee.d_type)
            try withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                try pointer.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    // `.` and `..`
                    if name[0] == 0x2E, name[1] == 0 || (name[1] == 0x2E && name[2] == 0) { return }
                    try body(Entry(folder: directory, pointer: name, type: type))
                }
            }
        }
        var status = stat()
        guard fstat(directory, &status) == 0 else { throw StorageError(.current, "look at \(path?.description ?? "the store")") }
        return FileStatus(status)
    }
}
