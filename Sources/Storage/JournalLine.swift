import CLinux
import CZlib
import OCI

/// The outer form of a journal line: a JSON object that ends in a checksum of fixed length.
///
/// `…,"c":"XXXXXXXX"}` and LF: zlib's CRC-32, eight lower-case hex digits, of all bytes before the suffix. The checksum is
/// compared on raw bytes first; only what passes is parsed.
package enum JournalLine {
    /// The longest line, LF included. A longer one is damage.
    package static let maximumLength = 16 << 10
    /// `,"c":"XXXXXXXX"}`, without the LF behind it.
    package static let suffixLength = 16

    /// A whole line with LF.
    package static func encode(generation: Int64, sequence: Int64, payload: [UInt8]) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(payload.count + 64)
        Self.append(generation: generation, sequence: sequence, payload: payload, to: &line)
        return line
    }

    /// Appends a whole line with LF.
    static func append(generation: Int64, sequence: Int64, payload: [UInt8], to lines: inout [UInt8]) {
        let start = lines.count
        lines += "{\"g\":".utf8
        lines.append(decimal: generation)
        lines += ",\"q\":".utf8
        lines.append(decimal: sequence)
        lines.append(UInt8(ascii: ","))
        lines += payload
        Self.seal(&lines, from: start)
    }

    /// The first line of a file. `live` is the size in bytes that the file had when it was last written as a whole.
    package static func header(generation: Int64, store: String, live: Int64) -> [UInt8] {
        var line = Array(
            "{\"amargo\":\"journal\",\"format\":1,\"minReader\":1,\"g\":\(generation),\"store\":\"\(store)\",\"live\":\(live)"
                .utf8)
        Self.seal(&line, from: 0)
        return line
    }

    /// Appends the checksum of what follows `start`, and ends the line.
    private static func seal(_ lines: inout [UInt8], from start: Int) {
        let checksum = lines.withUnsafeBytes { Self.checksum(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        lines += ",\"c\":\"".utf8
        for shift in stride(from: 28, through: 0, by: -4) {
            let nibble = UInt8(truncatingIfNeeded: checksum >> UInt32(shift)) & 0xF
            lines.append(nibble + (nibble < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10))
        }
        lines += "\"}\n".utf8
    }

    /// Whether a line, without its LF, is whole and undamaged.
    package static func isIntact(_ line: UnsafeRawBufferPointer) -> Bool {
        guard line.count > Self.suffixLength, line.count < Self.maximumLength, line[0] == UInt8(ascii: "{") else { return false }
        let bodyLength = line.count - Self.suffixLength
        let suffix = UnsafeRawBufferPointer(rebasing: line[bodyLength...])
        guard UnsafeRawBufferPointer(rebasing: suffix[..<6]).spells(",\"c\":\""), suffix[14] == UInt8(ascii: "\""),
            suffix[15] == UInt8(ascii: "}")
        else { return false }
        var stored: UInt32 = 0
        for byte in suffix[6..<14] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): stored = stored << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): stored = stored << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            default: return false
            }
        }
        guard stored == Self.checksum(UnsafeRawBufferPointer(rebasing: line[..<bodyLength])) else { return false }
        return Self.isPrintable(line)
    }

    /// Whether all bytes of a line, which has eight at least, are in 0x20...0x7E: eight at a time, the last ones perhaps twice.
    private static func isPrintable(_ line: UnsafeRawBufferPointer) -> Bool {
        guard line.count >= 8 else { return false }
        var offset = 0
        while true {
            let bytes = line.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            // The high bit of a byte is set by itself, by borrowing below 0x20, or by carrying from 0x7F.
            let marks = bytes | (bytes &- 0x2020_2020_2020_2020) | (bytes &+ 0x0101_0101_0101_0101)
            guard marks & 0x8080_8080_8080_8080 == 0 else { return false }
            if offset == line.count - 8 { return true }
            offset = min(offset + 8, line.count - 8)
        }
    }

    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let text = bytes.bindMemory(to: UInt8.self)
        var checksum: UInt32 = 0
        let done = clinux_crc32(text.baseAddress, text.count, &checksum)
        return UInt32(
            truncatingIfNeeded: crc32(uLong(checksum), text.baseAddress?.advanced(by: done), uInt(text.count - done)))
    }

    package struct Header: Hashable, Sendable {
        package var format: Int64 = 0
        package var minReader: Int64 = 0
        package var generation: Int64 = 0
        package var store = ""
        package var live: Int64 = 0
    }

    /// Reads an intact line as a header; nil when it is none.
    package static func header(_ line: UnsafeRawBufferPointer) -> Header? {
        var header = Header()
        var isHeader = false
        do {
            try JSONReader.read(validated: line) { reader in
                try reader.object { reader, key in
                    switch key {
                    case "amargo": isHeader = try reader.string() == "journal"
                    case "format": header.format = try reader.integer()
                    case "minReader": header.minReader = try reader.integer()
                    case "g": header.generation = try reader.integer()
                    case "store": header.store = try reader.string()
                    case "live": header.live = try reader.integer()
                    default: try reader.skipValue()
                    }
                }
            }
        } catch {
            return nil
        }
        return isHeader ? header : nil
    }
}

/// An intact line as its fields. Fields of all operations share the struct: a line has few of them.
package struct JournalEntry: Hashable, Sendable {
    package private(set) var generation: Int64 = -1
    package private(set) var sequence: Int64 = -1
    package private(set) var isRequired = false
    private var operation = ""
    private var digest: Digest?
    private var subject: Digest?
    private var repository: QualifiedRepository?
    private var reference: String?
    private var mediaType: MediaType?
    private var size: Int64?
    private var at: Int64 = 0
    /// Of a manifest's children, or of a use's pulls.
    private var childCount: Int64?
    /// How a tag came, when not from its registry.
    private var way: String?
    private var edges: [Edge] = []

    package enum Meaning: Sendable {
        case record(JournalRecord)
        /// Children that belong to a manifest whose line comes later, and how many of its children came before these.
        case edges(Digest, [Edge], position: Int64?)
    }

    init() {}

    /// Parses an intact line; nil when it is no journal entry.
    package init?(parsing line: UnsafeRawBufferPointer) {
        var names = JournalNames()
        guard self.read(line, names: &names) else { return nil }
    }

    /// Becomes what an intact line says; false when it is no journal entry.
    mutating func read(_ line: UnsafeRawBufferPointer, names: inout JournalNames) -> Bool {
        self = JournalEntry()
        if self.read(plain: line, names: &names) { return true }
        self = JournalEntry()
        return self.read(any: line)
    }

    /// Reads a line of the form that this version writes; false when it has another, which says nothing of its worth.
    mutating func read(plain bytes: UnsafeRawBufferPointer, names: inout JournalNames) -> Bool {
        var line = FlatLine(bytes)
        while let key = line.key() {
            if key == .checksum { return line.ends() && self.isNumbered }
            guard self.take(key, &line, &names) else { return false }
        }
        return false
    }

    /// Reads any line that is JSON.
    mutating func read(any line: UnsafeRawBufferPointer) -> Bool {
        do {
            try JSONReader.read(validated: line) { reader in
                try reader.object { reader, key in try self.read(key, &reader) }
            }
            return self.isNumbered
        } catch {
            return false
        }
    }

    private var isNumbered: Bool { self.generation >= 0 && self.sequence > 0 }

    private mutating func take(_ key: FlatLine.Key, _ line: inout FlatLine, _ names: inout JournalNames) -> Bool {
        func set<T>(_ field: inout T, _ value: T?) -> Bool {
            guard let value else { return false }
            field = value
            return true
        }
        func set<T>(_ field: inout T?, _ value: T?) -> Bool {
            field = value
            return value != nil
        }
        switch key {
        case .generation: return set(&self.generation, line.number())
        case .sequence: return set(&self.sequence, line.number())
        case .operation: return set(&self.operation, line.text().map { String(decoding: $0, as: UTF8.self) })
        case .digest: return set(&self.digest, line.digest())
        case .subject: return set(&self.subject, line.digest())
        case .repository: return set(&self.repository, line.text().flatMap { names.repositories.value(of: $0) })
        case .reference: return set(&self.reference, line.text().map { String(decoding: $0, as: UTF8.self) })
        case .mediaType: return set(&self.mediaType, line.text().flatMap { names.mediaTypes.value(of: $0) })
        case .size: return set(&self.size, line.number())
        case .at: return set(&self.at, line.number())
        case .childCount: return set(&self.childCount, line.number())
        case .way: return set(&self.way, line.text().map { String(decoding: $0, as: UTF8.self) })
        case .children: return set(&self.edges, line.edges(expected: self.childCount))
        case .checksum: return false
        }
    }

    private mutating func read(_ key: String, _ reader: inout JSONReader) throws {
        switch key {
        case "g": self.generation = try reader.integer()
        case "q": self.sequence = try reader.integer()
        case "op": self.operation = try reader.string()
        case "d": self.digest = try Digest(parsing: try reader.string())
        case "subject": self.subject = try Digest(parsing: try reader.string())
        case "repo": self.repository = try QualifiedRepository(parsing: try reader.string())
        case "ref": self.reference = try reader.string()
        case "type": self.mediaType = try MediaType(parsing: try reader.string())
        case "size": self.size = try reader.integer()
        case "at": self.at = try reader.integer()
        case "n": self.childCount = try reader.integer()
        case "via": self.way = try reader.string()
        case "req": self.isRequired = try reader.boolean()
        case "kids":
            var edges: [Edge] = []
            try reader.array { edges.append(try Edge(reading: &$0)) }
            self.edges = edges
        default: try reader.skipValue()
        }
    }

    /// What the entry says, given the edges that earlier lines brought for its manifest; nil when it makes no sense.
    package func meaning(line: UnsafeRawBufferPointer, earlierEdges: (Digest) -> [Edge]) -> Meaning? {
        switch (self.operation, self.digest, self.repository) {
        case ("blob", let digest?, let repository):
            guard let size = self.size, size >= 0 else { return nil }
            return .record(.blob(digest, size: size, repository: repository, at: self.at))
        case ("edges", let digest?, _):
            return .edges(digest, self.edges, position: self.childCount)
        case ("manifest", let digest?, let repository):
            guard let size = self.size, size >= 0, let mediaType = self.mediaType else { return nil }
            let earlier = earlierEdges(digest)
            let children = earlier.isEmpty ? self.edges : earlier + self.edges
            // With an edge line lost, the manifest is just content; its bytes tell the rest when it is asked for.
            guard Int64(children.count) == self.childCount else {
                return .record(.blob(digest, size: size, repository: repository, at: self.at))
            }
            let facts = ManifestFacts(mediaType: mediaType, children: children, subject: self.subject)
            return .record(.manifest(digest, facts, size: size, repository: repository, at: self.at))
        case ("link", let digest?, let repository?): return .record(.link(digest, repository))
        case ("tag", let digest?, let repository?):
            guard let tag = self.tag else { return nil }
            if self.way == "import" { return .record(.importedTag(tag, repository, digest, at: self.at)) }
            return .record(.tag(tag, repository, digest, fetchedAt: self.at))
        case ("untag", _, let repository?):
            guard let tag = self.tag else { return nil }
            return .record(.untag(tag, repository))
        case ("unlink", let digest?, let repository?): return .record(.unlink(digest, repository))
        case ("pin", _, let repository?):
            guard let name = self.name else { return nil }
            return .record(.pin(name, repository, at: self.at))
        case ("unpin", _, let repository?):
            guard let name = self.name else { return nil }
            return .record(.unpin(name, repository))
        case ("use", let digest?, _): return .record(.use(digest, at: self.at, pulls: max(0, self.childCount ?? 0)))
        case ("delete", let digest?, _): return .record(.delete(digest))
        case ("deleted", let digest?, _): return .record(.deleted(digest))
        case ("blob", _, _), ("edges", _, _), ("manifest", _, _), ("link", _, _), ("tag", _, _), ("untag", _, _), ("use", _, _),
            ("delete", _, _), ("deleted", _, _), ("unlink", _, _), ("pin", _, _), ("unpin", _, _):
            return nil
        default:
            guard !self.operation.isEmpty, let payload = self.payload(of: line) else { return nil }
            return .record(.unknown(payload: payload, required: self.isRequired))
        }
    }

    /// A tag or a digest.
    private var name: Reference? {
        guard let reference = self.reference else { return nil }
        return try? Reference(parsing: reference)  // a text that is neither makes the line senseless, which nil says
    }

    private var tag: Tag? {
        guard let reference = self.reference else { return nil }
        return try? Tag(parsing: reference)  // a text that is no tag makes the line senseless, which nil says
    }

    /// The members behind `g` and `q`, so that an unknown line can be written again; nil when it does not begin with those.
    private func payload(of line: UnsafeRawBufferPointer) -> [UInt8]? {
        let start = "{\"g\":\(self.generation),\"q\":\(self.sequence),".utf8
        let end = line.count - JournalLine.suffixLength
        guard start.count < end, line[..<start.count].elementsEqual(start) else { return nil }
        return Array(line[start.count..<end])
    }
}

extension Edge {
    fileprivate init(reading reader: inout JSONReader) throws {
        var index = 0
        var role: Manifest.Role?
        var digest: Digest?
        var size: Int64?
        var platform: String?
        try reader.array { reader in
            switch index {
            case 0: role = Manifest.Role(rawValue: try reader.string())
            case 1: digest = try Digest(parsing: try reader.string())
            case 2: size = try reader.integer()
            case 3: platform = try reader.string()
            default: try reader.skipValue()
            }
            index += 1
        }
        guard let role, let digest, let size, size >= 0 else { throw JSONError("has a malformed edge", at: 0) }
        self.init(role: role, digest: digest, size: size, platform: platform)
    }
}
