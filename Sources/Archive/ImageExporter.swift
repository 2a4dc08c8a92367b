import Glibc
import OCI
import Storage

/// Carries images out of a store, into one bundle.
///
/// It takes no lock and changes nothing in the store, so it works beside a running server and on a disk that cannot be written to.
package struct ImageExporter: Sendable {
    package struct Options: Sendable {
        /// Whether anything that is missing keeps the bundle from being written.
        package var isStrict = false
        /// Whether a folder may be made of hard links.
        package var linksFiles = true
        /// Blobs that may be held open, so that an eviction cannot take them away.
        package var openFiles = 128

        package init() {}
    }

    package struct Outcome: Sendable {
        package let plan: ExportPlan
        /// False when nothing could be exported, or a gap forbade it.
        package let wasWritten: Bool
        /// Blobs of a folder that are links to the store's files.
        package let links: Int
        /// Why others are copies.
        package let obstacle: String?
        /// Parts that an archive was cut into.
        package let parts: Int
        /// Bytes of the archive, or of the folder's blobs.
        package let bytes: Int64
    }

    private static let attempts = 3

    private let request: ExportRequest
    private let target: BundleTarget
    private let options: Options
    private let progress: ExportProgress

    package init(_ request: ExportRequest, to target: BundleTarget, _ options: Options, _ progress: ExportProgress) {
        self.request = request
        self.target = target
        self.options = options
        self.progress = progress
    }

    /// Blocks for as long as that takes.
    ///
    /// - Parameter note: told once about each attempt, with what it is going to write.
    /// - Throws: `BundleError`; nothing is left of the bundle then, and what had its name before still has it.
    package func export(from reader: StoreReader, note: (ExportPlan) -> Void) throws -> Outcome {
        var reader = reader
        var attempt = 1
        while true {
            do {
                return try self.attempt(reader, note)
            } catch let error as BundleError where error.code == .vanished {
                // Evicted or removed since the plan was made: what is left is another plan, which says so.
                guard self.target.isPrivate, attempt < Self.attempts else { throw error }
                attempt += 1
                reader = try reader.reopened()
            }
        }
    }

    private func attempt(_ reader: StoreReader, _ note: (ExportPlan) -> Void) throws -> Outcome {
        // Before the plan: whoever named a place that cannot be used shall not wait for it.
        let place = try self.openPlace(outside: reader)
        let plan = try ExportPlanner.plan(self.request, reader, self.progress)
        guard !plan.isEmpty, !(self.options.isStrict && plan.hasGaps) else {
            return Outcome(plan: plan, wasWritten: false, links: 0, obstacle: nil, parts: 0, bytes: 0)
        }
        note(plan)
        let blobs = StoredBlobs(reader: reader, openFiles: self.options.openFiles)
        switch (self.target, place) {
        case (.folder, let place?): return try self.writeFolder(plan, blobs, place)
        case (.parts(_, let size), let place?): return try self.writeParts(plan, blobs, place, size)
        case (.archive(let path), _):
            let size = ArchiveBundle.size(of: plan)
            if let place { try Self.checkRoom(for: size, in: place.folder) }
            try ArchiveBundle.write(plan, from: blobs, to: try BundleTarget.openFile(path, outside: reader), self.progress)
            return Outcome(plan: plan, wasWritten: true, links: 0, obstacle: nil, parts: 0, bytes: size)
        default:
            try ArchiveBundle.write(plan, from: blobs, to: StreamOutput.standardOutput, self.progress)
            return Outcome(
                plan: plan, wasWritten: true, links: 0, obstacle: nil, parts: 0, bytes: ArchiveBundle.size(of: plan))
        }
    }

    // MARK: - Places

    private struct Place {
        let folder: TargetFolder
        let name: String
    }

    /// The folder that the bundle appears in; nil for a stream.
    private func openPlace(outside reader: StoreReader) throws -> Place? {
        switch self.target {
        case .standardOutput: return nil
        case .archive(let path):
            var status = stat()
            if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return nil }
            return try Self.place(BundleTarget.resolved(path), outside: reader)
        case .parts(let path, _): return try Self.place(path, outside: reader)
        case .folder(let path):
            let place = try Self.place(path, outside: reader)
            try Self.checkFree(place)
            return place
        }
    }

    private static func place(_ path: String, outside reader: StoreReader) throws -> Place {
        let (folder, name) = BundleTarget.split(path)
        let opened = try TargetFolder(opening: folder, outside: reader)
        opened.removeLeftovers()
        return Place(folder: opened, name: name)
    }

    /// A folder is made anew: what stands in one already is nobody's to mix with.
    private static func checkFree(_ place: Place) throws {
        let path = place.folder.path(place.name)
        var status = stat()
        guard fstatat(place.folder.descriptor, place.name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw BundleError(.unusable, "\(path) is there already and is no folder; name another one")
        }
        let folder = openat(place.folder.descriptor, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw BundleError.call("open the folder", path) }
        defer { close(folder) }
        let names = TargetFolder.names(in: folder)
        guard !names.isEmpty else { return }
        if names.contains(BundleLayout.layoutFile) {
            throw BundleError(
                .unusable,
                "\(path) is an image layout already, and an export does not add to one; remove it, or name another folder")
        }
        throw BundleError(
            .unusable,
            "\(path) is a folder with other things in it; name a file or a new folder in it, such as "
                + "\(path)/bundle.tar or \(path)/bundle/")
    }

    private static func checkRoom(for size: Int64, in folder: TargetFolder) throws {
        guard let available = folder.availableBytes, available < size else { return }
        throw BundleError(
            .full,
            "the bundle takes \(ByteText.describe(size)), and \(folder.path) has room for \(ByteText.describe(available)); nothing was "
                + "written")
    }

    // MARK: - Forms

    private func writeFolder(_ plan: ExportPlan, _ blobs: StoredBlobs, _ place: Place) throws -> Outcome {
        let result = try FolderBundle(place.name, in: place.folder, plan, blobs, self.progress).write(
            linking: self.options.linksFiles)
        return Outcome(
            plan: plan, wasWritten: true, links: result.links, obstacle: result.obstacle, parts: 0, bytes: plan.byteCount)
    }

    private func writeParts(_ plan: ExportPlan, _ blobs: StoredBlobs, _ place: Place, _ partSize: Int64) throws -> Outcome {
        let size = ArchiveBundle.size(of: plan)
        guard (size + partSize - 1) / partSize <= PartedOutput.maximumParts else {
            throw BundleError(
                .unusable,
                "the bundle takes \(ByteText.describe(size)), which makes more than \(PartedOutput.maximumParts) parts of "
                    + "\(ByteText.describe(partSize)); "
                    + "name a larger size with --split")
        }
        try Self.checkRoom(for: size, in: place.folder)
        let output = try PartedOutput(place.name, in: place.folder, partSize: partSize)
        try ArchiveBundle.write(plan, from: blobs, to: output, self.progress)
        return Outcome(plan: plan, wasWritten: true, links: 0, obstacle: nil, parts: output.count, bytes: size)
    }
}
