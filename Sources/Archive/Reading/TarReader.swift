import OCI

/// A member of an archive: what it is called, and where its bytes are.
struct TarMember: Hashable {
    enum Kind: Hashable {
        case file
        case folder
        /// A name for what another member is, as that is written.
        case hardLink(String)
        case symbolicLink(String)
    }

    /// Relative, without `.` and `..`, in printable ASCII.
    let name: String
    let kind: Kind
    let offset: Int64
    let size: Int64
}

/// Goes through an archive from its beginning to its end, strictly: nothing that is odd passes, and nothing is kept in memory.
///
/// Understood is what the tools write that make bundles: POSIX's ustar, PAX headers for names and sizes, GNU tar's long names. The
/// members' bytes are stepped over; whoever wants them reads them where they are.
struct TarReader {
    private let file: BundleFile
    private var position: Int64 = 0
    private var count = 0
    private var isEnded = false

    init(_ file: BundleFile) {
        self.file = file
    }

    /// The next member; nil behind the last, when the archive has ended as it should. Blocks.
    mutating func next() throws -> TarMember? {
        guard !self.isEnded else { return nil }
        var records: PAXRecords?
        var longName: [UInt8]?
        var longLink: [UInt8]?
        while true {
            guard let header = try self.header() else {
                guard records == nil, longName == nil, longLink == nil else {
                    throw BundleError(.refused, "it ends behind a header that announces a member")
                }
                try self.end()
                return nil
            }
            switch header.kind {
            case .extended:
                guard records == nil else { throw BundleError(.refused, "it has two PAX headers for one member") }
                records = try PAXRecords(try self.extension(of: header))
            case .longName:
                guard longName == nil else { throw BundleError(.refused, "it has two long names for one member") }
                longName = try self.text(of: header)
            case .longLink:
                guard longLink == nil else { throw BundleError(.refused, "it has two long link targets for one member") }
                longLink = try self.text(of: header)
            case .file, .folder, .hardLink, .symbolicLink:
                guard records?.path == nil || longName == nil, records?.linkTarget == nil || longLink == nil else {
                    throw BundleError(.refused, "it gives a member two names, in a PAX header and in GNU tar's way")
                }
                return try self.member(
                    header, name: records?.path ?? longName ?? header.name,
                    target: records?.linkTarget ?? longLink ?? header.linkTarget, size: records?.size)
            }
        }
    }

    // MARK: - Blocks

    /// The next header; nil for a block of zeros.
    private mutating func header() throws -> TarHeader? {
        var block = [UInt8](repeating: 0, count: TarHeader.blockSize)
        return try block.withUnsafeMutableBytes { bytes in
            try self.readBlock(bytes)
            let bytes = UnsafeRawBufferPointer(bytes)
            return TarHeader.isEnd(bytes) ? nil : try TarHeader(bytes)
        }
    }

    private mutating func readBlock(_ block: UnsafeMutableRawBufferPointer) throws {
        guard try self.file.read(at: self.position, into: block) == block.count else { throw self.truncation }
        self.position += Int64(block.count)
    }

    private var truncation: BundleError {
        self.file.size == 0
            ? BundleError(.refused, "it is empty")
            : BundleError(
                .refused,
                "it is cut off: it ends after \(self.file.size) bytes, before its own end; of a bundle in parts all "
                    + "are needed, and the .sha256 file beside them")
    }

    /// Steps over a member's bytes, and returns where they begin.
    private mutating func skip(_ size: Int64) throws -> Int64 {
        let start = self.position
        let (padded, overflow) = size.addingReportingOverflow(Int64(TarHeader.blockSize) - 1)
        let length = padded / Int64(TarHeader.blockSize) * Int64(TarHeader.blockSize)
        guard !overflow, length <= self.file.size - start else { throw self.truncation }
        self.position += length
        return start
    }

    /// The bytes of a header that extends another.
    private mutating func `extension`(of header: TarHeader) throws -> [UInt8] {
        guard header.size <= Int64(Limits.Bundles.extendedHeader) else {
            throw BundleError(.refused, "it has a header of \(header.size) bytes; more than 64 KiB are none")
        }
        let start = try self.skip(header.size)
        var bytes = [UInt8](repeating: 0, count: Int(header.size))
        _ = try bytes.withUnsafeMutableBytes { try self.file.read(at: start, into: $0) }
        return bytes
    }

    /// A name that is too long for a header: it ends in a NUL.
    private mutating func text(of header: TarHeader) throws -> [UInt8] {
        var bytes = try self.extension(of: header)
        if bytes.last == 0 { bytes.removeLast() }
        guard !bytes.contains(0) else {
            throw BundleError(.refused, "it has a name with a NUL in it: \(BundleError.show(bytes))")
        }
        return bytes
    }

    /// Two blocks of zeros, and nothing but zeros behind them.
    private mutating func end() throws {
        self.isEnded = true
        var block = [UInt8](repeating: 0, count: TarHeader.blockSize)
        try block.withUnsafeMutableBytes { try self.readBlock($0) }
        guard block.allSatisfy({ $0 == 0 }) else {
            throw BundleError(.refused, "it goes on behind an empty block, where other readers end")
        }
        guard self.file.size - self.position <= Limits.Bundles.padding else {
            throw BundleError(.refused, "something follows behind its end")
        }
        var rest = [UInt8](repeating: 0, count: Int(self.file.size - self.position))
        _ = try rest.withUnsafeMutableBytes { try self.file.read(at: self.position, into: $0) }
        guard rest.allSatisfy({ $0 == 0 }) else { throw BundleError(.refused, "something follows behind its end") }
    }

    // MARK: - Members

    private mutating func member(
        _ header: TarHeader, name: [UInt8], target: [UInt8], size said: Int64?
    ) throws -> TarMember {
        self.count += 1
        guard self.count <= Limits.Bundles.members else {
            throw BundleError(.refused, "it has more than \(Limits.Bundles.members) members")
        }
        let path = try Self.path(name, isFolder: header.kind == .folder)
        let size = try Self.size(header, said, name)
        switch header.kind {
        case .file: return TarMember(name: path, kind: .file, offset: try self.skip(size), size: size)
        case .hardLink, .symbolicLink:
            guard size == 0 else { throw BundleError(.refused, "its member \(BundleError.show(name)) is a link with content") }
            guard let text = Self.printable(target), !text.isEmpty else {
                throw BundleError(.refused, "its member \(BundleError.show(name)) is a link to nothing that can be named")
            }
            return TarMember(
                name: path, kind: header.kind == .hardLink ? .hardLink(text) : .symbolicLink(text), offset: self.position, size: 0
            )
        default:
            guard size == 0 else { throw BundleError(.refused, "its member \(BundleError.show(name)) is a folder with content") }
            return TarMember(name: path, kind: .folder, offset: self.position, size: 0)
        }
    }

    /// The two sizes have to be one: what they are to another reader decides where it believes the next header to be (CVE-2026-33055).
    private static func size(_ header: TarHeader, _ said: Int64?, _ name: [UInt8]) throws -> Int64 {
        guard let said else { return header.size }
        // Above 8 GiB - 1 the header's own field is too short, and is left at zero.
        let isTooLong = said > 0o777_7777_7777 && header.size == 0
        guard said == header.size || isTooLong else {
            throw BundleError(
                .refused, "its member \(BundleError.show(name)) has two sizes, \(header.size) and \(said)")
        }
        return said
    }

    private static func printable(_ text: [UInt8]) -> String? {
        guard text.count <= Limits.Bundles.name, text.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") })
        else {
            return nil
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A name that leads downwards from the archive's root, and no other.
    private static func path(_ name: [UInt8], isFolder: Bool) throws -> String {
        guard let text = Self.printable(name), !text.isEmpty else {
            throw BundleError(.refused, "it has a member with an impossible name: \(BundleError.show(name))")
        }
        guard !text.hasPrefix("/") else {
            throw BundleError(.refused, "its member \(BundleError.show(name)) has an absolute path")
        }
        var parts = text.split(separator: "/", omittingEmptySubsequences: false)[...]
        if isFolder, parts.last == "" { parts.removeLast() }
        // As `tar -C FOLDER -c .` writes them.
        if parts.first == "." { parts.removeFirst() }
        guard !parts.contains("..") else {
            throw BundleError(.refused, "its member \(BundleError.show(name)) leads out of it")
        }
        guard parts.allSatisfy({ !$0.isEmpty && $0 != "." }), !parts.isEmpty || isFolder else {
            throw BundleError(.refused, "it has a member with an impossible name: \(BundleError.show(name))")
        }
        return parts.joined(separator: "/")
    }
}
