import CLinux
import Glibc
import OCI

/// A bundle as somebody named it on a command line, opened.
///
/// The name itself may be a link: whoever wrote it chose it. Below a folder no link is followed, and what is no regular file is neither
/// read nor waited for.
package final class BundlePaths: BundleOpener {
    package let input: BundleInput
    /// The folder, or the parts of an archive.
    private let descriptors: [CInt]

    private init(_ input: BundleInput, _ descriptors: [CInt]) {
        self.input = input
        self.descriptors = descriptors
    }

    deinit {
        for descriptor in self.descriptors { close(descriptor) }
    }

    /// Opens bundles: folders, archives, `-` for standard input, and for one that was split its `.sha256` file or any of its parts.
    package static func open(_ paths: [String]) throws -> [BundlePaths] {
        var bundles: [BundlePaths] = []
        var seen: Set<String> = []
        for path in paths {
            if let split = try SplitBundle(path) {
                guard seen.insert(split.base).inserted else { continue }
                bundles.append(try Self.open(split))
            } else {
                bundles.append(try Self.open(path))
            }
        }
        return bundles
    }

    /// Whether a path is of a split bundle that is not complete yet: its list, or a part that the list names, is still to come.
    package static func isWaitingForParts(_ path: String) throws -> Bool {
        guard let dot = path.lastIndex(of: ".") else { return false }
        let suffix = path[path.index(after: dot)...]
        let isPart = suffix.utf8.count >= 3 && suffix.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isPart || suffix == "sha256" else { return false }
        let list = "\(path[..<dot]).sha256"
        guard access(list, F_OK) == 0 else { return access("\(path[..<dot]).001", F_OK) == 0 }
        return try SplitBundle.partNames(list).contains { access($0, F_OK) != 0 }
    }

    /// Every file that belongs to it.
    package var files: [String] {
        guard !self.input.checksums.isEmpty else { return self.input.parts.isEmpty ? [self.input.name] : self.input.parts }
        let list = "\(self.input.name).sha256"
        return self.input.parts + (access(list, F_OK) == 0 ? [list] : [])
    }

    private static func open(_ split: SplitBundle) throws -> BundlePaths {
        var descriptors: [CInt] = []
        do {
            for part in split.parts { descriptors.append(try Self.openFile(part)) }
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        return BundlePaths(
            BundleInput(name: split.base, kind: .archive, parts: split.parts, checksums: split.checksums), descriptors)
    }

    private static func open(_ path: String) throws -> BundlePaths {
        if path == "-" {
            let descriptor = clinux_duplicate(STDIN_FILENO)
            guard descriptor >= 0 else { throw Self.failure("standard input") }
            return BundlePaths(BundleInput(name: "standard input", kind: .archive, parts: ["standard input"]), [descriptor])
        }
        // Not waiting: a FIFO that nobody writes to opens at once, and is empty.
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(path) }
        var status = stat()
        fstat(descriptor, &status)
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return BundlePaths(BundleInput(name: path, kind: .folder), [descriptor])
        case S_IFREG, S_IFIFO:
            clinux_block(descriptor)
            return BundlePaths(BundleInput(name: path, kind: .archive, parts: [path]), [descriptor])
        default:
            close(descriptor)
            throw BundleError(.refused, "\(path) is neither a file nor a folder")
        }
    }

    private static func openFile(_ path: String) throws -> CInt {
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw BundleError(.refused, "\(path) is no file")
        }
        return descriptor
    }

    private static func failure(_ path: String) -> BundleError {
        BundleError(.unreadable, "\(path) cannot be opened: \(String(cString: strerror(errno)))")
    }

    package func open(part: Int) throws -> CInt {
        guard self.input.kind == .archive, self.descriptors.indices.contains(part) else {
            throw BundleError(.unreadable, "there is no such part")
        }
        let descriptor = clinux_duplicate(self.descriptors[part])
        guard descriptor >= 0 else { throw Self.failure(self.input.parts[part]) }
        return descriptor
    }

    package func open(_ member: BundleMember) throws -> CInt? {
        guard self.input.kind == .folder, let folder = self.descriptors.first else { return nil }
        let descriptor = clinux_open_beneath(folder, member.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
        guard descriptor < 0 else { return descriptor }
        switch errno {
        case ENOENT: return nil
        case ELOOP, EXDEV, ENOTDIR:
            throw BundleError(.refused, "its \(member.path) is a link, or lies behind one; a bundle has regular files only")
        case ENXIO: throw BundleError(.refused, "its \(member.path) is no regular file")
        case EACCES:
            throw BundleError(
                .unreadable,
                "its \(member.path) cannot be read by the user to whom the store belongs; let that user read it, or pack the folder: "
                    + "tar -C FOLDER -cf BUNDLE.tar .")
        default: throw BundleError(.unreadable, "its \(member.path) cannot be opened: \(String(cString: strerror(errno)))")
        }
    }
}
