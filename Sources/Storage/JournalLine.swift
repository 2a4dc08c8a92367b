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
        Self.seal(Array("{\"g\":\(generation),\"q\":\(sequence),".utf8) + payload)
    }

    /// The first line of a file. `live` is the size in bytes that the file had when it was last written as a whole.
    package static func header(generation: Int64, store: String, live: Int64) -> [UInt8] {
        Self.seal(
            Array(
                "{\"amargo\":\"journal\",\"format\":1,\"minReader\":1,\"g\":\(generation),\"store\":\"\(store)\",\"live\":\(live)"
                    .utf8))
    }

    private static func seal(_ body: [UInt8]) -> [UInt8] {
        let checksum = body.withUnsafeBytes { Self.checksum($0) }
        let hex = String(checksum, radix: 16)
        return body + Array(",\"c\":\"".utf8) + Array(String(repeating: "0", count: 8 - hex.count).utf8) + Array(hex.utf8)
            + Array("\"}\n".utf8)
    }

    /// Whether a line, without its LF, is whole and undamaged.
    package static func isIntact(_ line: UnsafeRawBufferPointer) -> Bool {
        guard line.count > Self.suffixLength, line.count < Self.maximumLength, line[0] == UInt8(ascii: "{") else { return false }
        let bodyLength = line.count - Self.suffixLength
        let suffix = UnsafeRawBufferPointer(rebasing: line[bodyLength...])
        guard suffix[..<6].elementsEqual(",\"c\":\"".utf8), suffix[14...].elementsEqual("\"}".utf8) else { return false }
        var stored: UInt32 = 0
        for byte in suffix[6..<14] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): stored = stored << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): stored = stored << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            default: return false
            }
        }
        guard stored == Self.checksum(UnsafeRawBufferPointer(rebasing: line[..<bodyLength])) else { return false }
        return line.allSatisfy { (0x20..<0x7F).contains($0) }
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: crc32(0, bytes.bindMemory(to: UInt8.self).baseAddress, uInt(bytes.count)))
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
package struct JournalEntry: Sendable {
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
    private var childCount: Int64?
    private var edges: [Edge] = []

    package enum Meaning: Sendable {
        case record(JournalRecord)
        /// Children that belong to a manifest whose line comes later.
        case edges(Digest, [Edge])
    }

    /// Parses an intact line; nil when it is no journal entry or a known operation lacks what it needs.
    package init?(parsing line: UnsafeRawBufferPointer) { self.init(parsing: line, names: RepositoryNames()) }

    init?(parsing line: UnsafeRawBufferPointer, names: RepositoryNames) {
        var flat = JournalEntry()
        if FlatLine.read(line, { flat.take($0, $1, names) }), flat.generation >= 0, flat.sequence > 0 {
            self = flat
            return
        }
        do {
            var entry = JournalEntry()
            try JSONReader.read(validated: line) { reader in
                try reader.object { reader, key in try entry.read(key, &reader) }
            }
            guard entry.generation >= 0, entry.sequence > 0 else { return nil }
            self = entry
        } catch {
            return nil
        }
    }

    private init() {}

    /// Takes a plain member; false when it needs the general reader, which also says what is wrong.
    private mutating func take(_ key: FlatLine.Key, _ value: FlatLine.Value, _ names: RepositoryNames) -> Bool {
        switch (key, value) {
        case (.generation, .number(let number)): self.generation = number
        case (.sequence, .number(let number)): self.sequence = number
        case (.size, .number(let number)): self.size = number
        case (.at, .number(let number)): self.at = number
        case (.operation, .text(let text)): self.operation = String(decoding: text, as: UTF8.self)
        case (.reference, .text(let text)): self.reference = String(decoding: text, as: UTF8.self)
        case (.digest, .text(let text)):
            guard let digest = Digest(sha256: text) else { return false }
            self.digest = digest
        case (.repository, .text(let text)):
            guard let repository = names.repository(text) else { return false }
            self.repository = repository
        default: return false
        }
        return true
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
            return .edges(digest, self.edges)
        case ("manifest", let digest?, let repository):
            guard let size = self.size, size >= 0, let mediaType = self.mediaType else { return nil }
            let children = earlierEdges(digest) + self.edges
            // With an edge line lost, the manifest is just content; its bytes tell the rest when it is asked for.
            guard Int64(children.count) == self.childCount else {
                return .record(.blob(digest, size: size, repository: repository, at: self.at))
            }
            let facts = ManifestFacts(mediaType: mediaType, children: children, subject: self.subject)
            return .record(.manifest(digest, facts, size: size, repository: repository, at: self.at))
        case ("link", let digest?, let repository?): return .record(.link(digest, repository))
        case ("tag", let digest?, let repository?):
            guard let tag = self.tag else { return nil }
            return .record(.tag(tag, repository, digest, fetchedAt: self.at))
        case ("untag", _, let repository?):
            guard let tag = self.tag else { return nil }
            return .record(.untag(tag, repository))
        case ("use", let digest?, _): return .record(.use(digest, at: self.at))
        case ("delete", let digest?, _): return .record(.delete(digest))
        case ("deleted", let digest?, _): return .record(.deleted(digest))
        case ("blob", _, _), ("edges", _, _), ("manifest", _, _), ("link", _, _), ("tag", _, _), ("untag", _, _), ("use", _, _),
            ("delete", _, _), ("deleted", _, _):
            return nil
        default:
            return .record(.unknown(payload: Self.payload(of: line), required: self.isRequired))
        }
    }

    private var tag: Tag? {
        guard let reference = self.reference else { return nil }
        return try? Tag(parsing: reference)  // a text that is no tag makes the line senseless, which nil says
    }

    /// The members behind `g` and `q`, as this version writes them, so that an unknown line can be written again.
    private static func payload(of line: UnsafeRawBufferPointer) -> [UInt8] {
        let body = line[..<(line.count - JournalLine.suffixLength)]
        var commas = 0
        for (index, byte) in zip(body.indices, body) where byte == UInt8(ascii: ",") {
            commas += 1
            if commas == 2 { return Array(body[body.index(after: index)...]) }
        }
        return []
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
