import Glibc
import Storage

/// Where a bundle goes, as people say it: `bundle.tar`, `folder/`, `-`.
package enum BundleTarget: Hashable, Sendable {
    case archive(String)
    /// An archive in parts of so many bytes.
    case parts(String, size: Int64)
    case folder(String)
    case standardOutput

    /// Bytes that a part has at least, but for the last one.
    package static let minimumPart: Int64 = 1 << 20

    /// Understands what somebody wrote, looking at what is there. Blocks.
    ///
    /// - Throws: `BundleError.unusable` for a place that cannot be meant.
    package init(_ text: String, partSize: Int64?) throws {
        guard !text.isEmpty else {
            throw BundleError(.unusable, "--output is empty; name a file, or a folder with a slash at its end")
        }
        if text == "-" {
            guard partSize == nil else { throw BundleError(.unusable, "standard output cannot be split; name a file") }
            self = .standardOutput
            return
        }
        var path = text
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        if text.hasSuffix("/") || Self.isFolder(path) {
            guard partSize == nil else { throw BundleError(.unusable, "\(text) is a folder, and only files can be split") }
            guard path != "/", path != ".", path != "..", !path.hasSuffix("/."), !path.hasSuffix("/..") else {
                throw BundleError(.unusable, "\(text) cannot become a bundle; name a new folder in it")
            }
            self = .folder(path)
            return
        }
        for suffix in [".gz", ".tgz", ".zst", ".xz", ".bz2", ".zip"] where path.hasSuffix(suffix) {
            throw BundleError(
                .unusable,
                "\(text) would be a plain tar under the name of another kind, for layers are compressed already; name it "
                    + "\(path.dropLast(suffix.count))\(path.hasSuffix(".tar\(suffix)") ? "" : ".tar")")
        }
        if let partSize {
            guard partSize >= Self.minimumPart else {
                throw BundleError(.unusable, "parts of \(partSize) bytes are too small; the least is 1 MiB")
            }
            self = .parts(path, size: partSize)
        } else {
            self = .archive(path)
        }
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether an export can begin again: nobody has seen anything of it.
    var isPrivate: Bool { self != .standardOutput }

    /// The folder around a path, and its last component.
    static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = path[..<slash]
        return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
    }

    /// Opens a file that is to be made or replaced; a pipe or a device is written to as it is.
    static func openFile(_ path: String, outside reader: StoreReader) throws -> any BundleOutput {
        var status = stat()
        var place = path
        if stat(path, &status) == 0 {
            switch status.st_mode & S_IFMT {
            case S_IFREG: place = Self.resolved(path)
            case S_IFIFO, S_IFCHR, S_IFBLK:
                let descriptor = open(path, O_WRONLY | O_CLOEXEC)
                guard descriptor >= 0 else { throw BundleError.call("open", path) }
                return StreamOutput(owning: descriptor, name: path)
            case S_IFDIR: throw BundleError(.unusable, "\(path) is a folder; name a file in it")
            default: throw BundleError(.unusable, "\(path) is no file that can be written to")
            }
        }
        let (folder, name) = Self.split(place)
        return FileOutput(try PendingFile(name, in: try TargetFolder(opening: folder, outside: reader)))
    }

    /// What a symbolic link leads to is replaced, not the link.
    static func resolved(_ path: String) -> String {
        guard let text = realpath(path, nil) else { return path }
        defer { free(text) }
        return String(cString: text)
    }
}
