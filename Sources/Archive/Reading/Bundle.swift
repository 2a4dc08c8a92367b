import Glibc
import OCI

/// A bundle that has been looked at: what it describes, and where each piece of its content is.
///
/// Making one reads documents and headers, never content, and refuses whatever is odd.
package final class Bundle: Sendable {
    package enum Form: String, Sendable {
        /// A folder that is an OCI image layout.
        case folder
        /// The same as an archive.
        case archive
        /// What `docker save` wrote before version 25.
        case docker
    }

    package let input: BundleInput
    package let form: Form
    let index: LayoutDocument
    private let source: any BundleSource
    /// Hex of the receipt that it was made for, if it is a delta.
    package var delta: String? { self.index.annotations[BundleIndex.deltaAnnotation] }

    /// Looks at a bundle. Blocks; what comes packed or through a pipe is read to its end first, into the spool.
    ///
    /// - Parameter goesOn: told how many bytes of that came since the last time; false ends it with `CancellationError`.
    package convenience init(
        _ input: BundleInput, opener: any BundleOpener, spool: any BundleSpool,
        goesOn: @escaping @Sendable (Int) -> Bool = { _ in true }
    ) throws {
        do {
            switch input.kind {
            case .folder: try self.init(input, folder: LayoutFolder(opener: opener))
            case .archive:
                let (file, isSpooled) = try Self.open(input, opener, Spooling(spool: spool, goesOn: goesOn))
                try self.init(input, file, spool: isSpooled ? spool : nil)
            }
        } catch let error as BundleError {
            throw error.code == .unreadable && error.message.hasPrefix(input.name)
                ? error : BundleError(error.code, "\(input.name): \(error.message)")
        }
    }

    private init(_ input: BundleInput, folder: LayoutFolder) throws {
        self.input = input
        self.form = .folder
        self.source = folder
        guard let layout = try folder.document(.layout) else {
            let isDocker = try folder.document(.dockerManifest) != nil
            throw BundleError(
                .refused,
                isDocker
                    ? "it is an unpacked archive or a folder of skopeo's dir: format, not an OCI image layout; import the archive, or write the "
                        + "folder with skopeo copy … oci:FOLDER:TAG"
                    : "it is no OCI image layout: it has no oci-layout")
        }
        try Self.check(layout: layout)
        guard let index = try folder.document(.index) else { throw BundleError(.refused, "it has no index.json") }
        self.index = try LayoutDocument(index)
    }

    private init(_ input: BundleInput, _ file: BundleFile, spool: (any BundleSpool)?) throws {
        self.input = input
        let directory = try TarDirectory(file)
        let archive = LayoutArchive(file: file, directory: directory, spool: spool)
        switch directory.form {
        case .layout:
            self.form = .archive
            self.source = archive
            try Self.check(layout: try archive.document(.layout) ?? [])
            self.index = try LayoutDocument(try archive.document(.index) ?? [])
        case .docker:
            self.form = .docker
            let docker = try DockerArchive(archive)
            self.source = docker
            self.index = try LayoutDocument(docker.index)
        }
    }

    /// Opens an archive so that it can be read at any place.
    private static func open(
        _ input: BundleInput, _ opener: any BundleOpener, _ spooling: Spooling
    ) throws -> (file: BundleFile, isSpooled: Bool) {
        var descriptors: [CInt] = []
        do {
            for part in input.parts.indices { descriptors.append(try opener.open(part: part)) }
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        var status = stat()
        if descriptors.count == 1, let pipe = descriptors.first, fstat(pipe, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            defer { close(pipe) }
            guard status.st_mode & S_IFMT == S_IFIFO || status.st_mode & S_IFMT == S_IFSOCK else {
                throw BundleError(.refused, "it is neither a file nor a pipe")
            }
            return (try spooling.spool { try Self.read(pipe, into: $0, spooling.goesOn) }, true)
        }
        let file = try BundleFile(descriptors)
        var prefix = [UInt8](repeating: 0, count: Compression.prefix)
        let count = try prefix.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        let compression = Compression(prefix[..<count])
        try compression.check()
        guard compression == .gzip else { return (file, false) }
        var position: Int64 = 0
        let unpacked = try spooling.spool { buffer in
            let count = try file.read(at: position, into: buffer)
            position += Int64(count)
            return count
        }
        return (unpacked, true)
    }

    /// How often somebody is asked whether to go on waiting for a pipe, in milliseconds.
    private static let patience: CInt = 250

    /// Waits for whoever writes into a pipe, who may never do so again, no longer than somebody wants that.
    private static func read(
        _ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer, _ goesOn: (Int) -> Bool
    ) throws -> Int {
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, Self.patience) == 0 {
                guard goesOn(0) else { throw CancellationError() }
                continue
            }
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw BundleError(.unreadable, "it cannot be read: \(String(cString: strerror(errno)))") }
        }
    }

    /// Image spec, "oci-layout file".
    private static func check(layout bytes: [UInt8]) throws {
        var version: String?
        do {
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        if key == "imageLayoutVersion" { version = try reader.string() } else { try reader.skipValue() }
                    }
                }
            }
        } catch {
            throw BundleError(.refused, "its oci-layout \(error)")
        }
        guard version == "1.0.0" else {
            throw BundleError(.refused, "its image layout is of version \(JSONText.quoted(version ?? "none")), not 1.0.0")
        }
    }

    // MARK: - Content

    /// Content; nil when the bundle does not have it. Blocks.
    package func piece(_ digest: Digest) throws -> BundlePiece? {
        do {
            return try self.source.piece(digest)
        } catch let error as BundleError {
            throw BundleError(error.code, "\(self.input.name): \(error.message)")
        }
    }

    /// Everything that it has, described or not; nil for a folder, of which only what is described is looked at.
    package var contents: [Digest]? { self.source.contents }

    /// Takes note that content is in the store: its room in the spool is free.
    func release(_ piece: BundlePiece) { self.source.release(piece) }
}

/// Where a bundle's content lies.
protocol BundleSource: Sendable {
    func piece(_ digest: Digest) throws -> BundlePiece?
    var contents: [Digest]? { get }
    func release(_ piece: BundlePiece)
}
