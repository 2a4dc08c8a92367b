/// Reads a JSON document from outside strictly, one value after the other, without building a tree.
///
/// Documents that two readers could understand differently are errors: a byte order mark, bytes that are not UTF-8,
/// two equal keys in one object (RFC 8259, 4 leaves their meaning open), anything behind the value, more than 64
/// levels. So are texts with more than thirty combining marks in a row, see `isStreamSafe`. The caller picks the fields it knows and skips the rest; time and memory are linear in the document.
package struct JSONReader {
    package static let maximumDepth = Limits.Documents.depth

    package enum Kind: Sendable {
        case object, array, string, number, boolean, null
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var depth = 0

    /// Reads one document; `body` must consume exactly one value.
    package static func read<T>(
        _ bytes: UnsafeRawBufferPointer, _ body: (inout JSONReader) throws -> T
    ) throws -> T {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw JSONError("is not UTF-8", at: 0) }
        return try Self.read(validated: bytes, body)
    }

    /// As `read`, for bytes that are known to be ASCII, such as a journal line.
    package static func read<T>(
        validated bytes: UnsafeRawBufferPointer, _ body: (inout JSONReader) throws -> T
    ) throws -> T {
        var reader = JSONReader(bytes: bytes)
        let value = try body(&reader)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw JSONError("has something behind its end", at: reader.position) }
        return value
    }

    private init(bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// What comes next, without consuming it.
    package mutating func peek() throws -> Kind {
        self.skipSpace()
        switch self.current {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
        case UInt8(ascii: "n"): return .null
        case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return .number
        default: throw JSONError("has no value", at: self.position)
        }
    }

    /// Calls `member` with each key; it must consume exactly the key's value.
    package mutating func object(_ member: (inout JSONReader, String) throws -> Void) throws {
        try self.expect(UInt8(ascii: "{"))
        try self.enter()
        var seen = SeenKeys()
        self.skipSpace()
        if self.current == UInt8(ascii: "}") {
            self.position += 1
        } else {
            while true {
                self.skipSpace()
                let start = self.position
                let key = try self.string()
                // Foundation drops the mark, and takes the key for the one behind it.
                guard !key.utf8.starts(with: [0xEF, 0xBB, 0xBF]) else {
                    throw JSONError("has a byte order mark in a key", at: start)
                }
                guard seen.insert(key) else { throw JSONError("has the key \"\(key.prefix(64))\" twice", at: start) }
                try self.expect(UInt8(ascii: ":"))
                try member(&self, key)
                if try self.endsList(with: UInt8(ascii: "}")) { break }
            }
        }
        self.depth -= 1
    }

    /// Calls `element` before each element; it must consume exactly that.
    package mutating func array(_ element: (inout JSONReader) throws -> Void) throws {
        try self.expect(UInt8(ascii: "["))
        try self.enter()
        self.skipSpace()
        if self.current == UInt8(ascii: "]") {
            self.position += 1
        } else {
            while true {
                try element(&self)
                if try self.endsList(with: UInt8(ascii: "]")) { break }
            }
        }
        self.depth -= 1
    }

    package mutating func string() throws -> String {
        try self.expect(UInt8(ascii: "\""))
        let start = self.position
        while let byte = self.current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
            guard byte >= 0x20 else { throw JSONError("has a control character in a string", at: self.position) }
            self.position += 1
        }
        guard let stop = self.current else { throw JSONError("ends inside a string", at: self.position) }
        let plain = self.bytes[start..<self.position]
        let text: String
        if stop == UInt8(ascii: "\"") {
            self.position += 1
            text = String(decoding: plain, as: UTF8.self)
        } else {
            text = try self.escapedString(beginningWith: plain)
        }
        guard text.isStreamSafe else {
            throw JSONError("has more than \(Limits.Documents.marks) combining marks in a row", at: start)
        }
        return text
    }

    /// A whole number; a fraction, an exponent or an overflow is an error.
    package mutating func integer() throws -> Int64 {
        self.skipSpace()
        let start = self.position
        try self.skipNumber()
        let text = self.bytes[start..<self.position]
        guard let value = Int64(String(decoding: text, as: UTF8.self)) else {
            throw JSONError("has a number that is not a 64-bit integer", at: start)
        }
        return value
    }

    package mutating func boolean() throws -> Bool {
        self.skipSpace()
        if self.current == UInt8(ascii: "t") {
            try self.literal("true")
            return true
        }
        try self.literal("false")
        return false
    }

    /// The next value as the bytes that it is written with.
    package mutating func rawValue() throws -> String {
        self.skipSpace()
        let start = self.position
        try self.skipValue()
        return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
    }

    package mutating func skipValue() throws {
        switch try self.peek() {
        case .object: try self.object { reader, _ in try reader.skipValue() }
        case .array: try self.array { try $0.skipValue() }
        case .string: _ = try self.string()
        case .number: try self.skipNumber()
        case .boolean: _ = try self.boolean()
        case .null: try self.literal("null")
        }
    }

    // MARK: - Characters

    private var current: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func skipSpace() {
        while let byte = self.current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { self.position += 1 }
    }

    private mutating func enter() throws {
        self.depth += 1
        guard self.depth <= Self.maximumDepth else {
            throw JSONError("is nested more than \(Self.maximumDepth) levels deep", at: self.position)
        }
    }

    private mutating func expect(_ byte: UInt8) throws {
        self.skipSpace()
        guard self.current == byte else {
            throw JSONError("lacks a \"\(Character(Unicode.Scalar(byte)))\"", at: self.position)
        }
        self.position += 1
    }

    private mutating func endsList(with end: UInt8) throws -> Bool {
        self.skipSpace()
        guard let byte = self.current, byte == end || byte == UInt8(ascii: ",") else {
            throw JSONError("lacks a comma or an end", at: self.position)
        }
        self.position += 1
        return byte == end
    }

    private mutating func literal(_ text: StaticString) throws {
        let matches = text.withUTF8Buffer { literal in
            self.bytes[self.position...].starts(with: literal)
        }
        guard matches else { throw JSONError("has an unknown word", at: self.position) }
        self.position += text.utf8CodeUnitCount
    }

    /// RFC 8259, 6: no leading zeros, digits on both sides of a point.
    private mutating func skipNumber() throws {
        let start = self.position
        if self.current == UInt8(ascii: "-") { self.position += 1 }
        let first = self.current
        let whole = self.skipDigits()
        guard whole > 0, whole == 1 || first != UInt8(ascii: "0") else { throw JSONError("has a malformed number", at: start) }
        if self.current == UInt8(ascii: ".") {
            self.position += 1
            guard self.skipDigits() > 0 else { throw JSONError("has a malformed number", at: start) }
        }
        if self.current == UInt8(ascii: "e") || self.current == UInt8(ascii: "E") {
            self.position += 1
            if self.current == UInt8(ascii: "+") || self.current == UInt8(ascii: "-") { self.position += 1 }
            guard self.skipDigits() > 0 else { throw JSONError("has a malformed number", at: start) }
        }
    }

    private mutating func skipDigits() -> Int {
        let start = self.position
        while let byte = self.current, (0x30...0x39).contains(byte) { self.position += 1 }
        return self.position - start
    }

    private mutating func escapedString(beginningWith plain: Slice<UnsafeRawBufferPointer>) throws -> String {
        var text = Array(plain)
        while let byte = self.current {
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): text.append(contentsOf: try self.escape())
            case 0x20...: text.append(byte)
            default: throw JSONError("has a control character in a string", at: self.position - 1)
            }
        }
        throw JSONError("ends inside a string", at: self.position)
    }

    private mutating func escape() throws -> [UInt8] {
        guard let byte = self.current else { throw JSONError("ends inside a string", at: self.position) }
        self.position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(Character(try self.unicodeEscape())).utf8)
        default: throw JSONError("has an unknown escape", at: self.position - 1)
        }
    }

    private mutating func unicodeEscape() throws -> Unicode.Scalar {
        let start = self.position
        let high = try self.fourHexDigits()
        guard (0xD800...0xDBFF).contains(high) else {
            guard let scalar = Unicode.Scalar(high) else { throw JSONError("has a lone surrogate", at: start) }
            return scalar
        }
        guard self.bytes[self.position...].starts(with: "\\u".utf8) else { throw JSONError("has a lone surrogate", at: start) }
        self.position += 2
        let low = try self.fourHexDigits()
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw JSONError("has a lone surrogate", at: start) }
        return scalar
    }

    private mutating func fourHexDigits() throws -> UInt32 {
        guard self.bytes.count - self.position >= 4 else { throw JSONError("ends inside a string", at: self.position) }
        var value: UInt32 = 0
        for byte in self.bytes[self.position..<self.position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw JSONError("has a malformed \\u escape", at: self.position)
            }
            value = value << 4 | UInt32(digit)
        }
        self.position += 4
        return value
    }
}

/// Keys of one object: an array while there are few, so that ordinary documents hash nothing, then their hashes.
///
/// Half a million keys would take more memory than everything else that is read. Hashes are seeded anew in each process: that
/// two different keys have one happens to nobody by chance, to nobody on purpose, and would refuse the document.
private struct SeenKeys {
    private var few: [String] = []
    private var many: Set<Int> = []

    mutating func insert(_ key: String) -> Bool {
        if self.many.isEmpty {
            guard !self.few.contains(key) else { return false }
            self.few.append(key)
            if self.few.count > 16 { self.many = Set(self.few.map(\.hashValue)) }
            return true
        }
        return self.many.insert(key.hashValue).inserted
    }
}

/// Why a document could not be read; `description` completes "the document …".
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ problem: String, at offset: Int) {
        self.description = "\(problem) (at byte \(offset))"
    }
}
