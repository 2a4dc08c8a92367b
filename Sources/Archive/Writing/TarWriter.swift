import Glibc

/// Writes a tar whose bytes depend on nothing but its members: POSIX ustar, mode 0644, no owner, no time.
///
/// A PAX header (`x`, named `PaxHeader`) comes before a member only when ustar cannot say its name or its size; the size in the ustar
/// header is 0 then, as GNU tar and Python write it. Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
struct TarWriter {
    static let block: Int64 = 512
    /// The largest size that eleven octal digits can say.
    static let maximumUstarSize: Int64 = (8 << 30) - 1
    private static let zeros = [UInt8](repeating: 0, count: 2 * Int(block))

    private let output: any BundleOutput
    /// What the present member still lacks.
    private var missing: Int64 = 0
    private var padding = 0

    init(_ output: any BundleOutput) {
        self.output = output
    }

    /// Bytes that a member takes in the archive.
    static func length(of name: String, size: Int64) -> Int64 {
        let records = Self.records(name, size)
        let extra = records.isEmpty ? 0 : Self.block + Self.rounded(Int64(records.count))
        return extra + Self.block + Self.rounded(size)
    }

    /// Bytes at the end of an archive.
    static var trailer: Int64 { 2 * Self.block }

    private static func rounded(_ size: Int64) -> Int64 { (size + Self.block - 1) / Self.block * Self.block }

    /// Begins a member; exactly `size` bytes follow, and then `end()`.
    mutating func begin(_ name: String, size: Int64) throws {
        precondition(self.missing == 0 && self.padding == 0, "the member before has not ended")
        let records = Self.records(name, size)
        if !records.isEmpty {
            try self.put(Self.header(name: "PaxHeader", size: Int64(records.count), type: UInt8(ascii: "x")))
            try self.put(records + [UInt8](repeating: 0, count: Int(Self.rounded(Int64(records.count))) - records.count))
        }
        try self.put(Self.header(name: name, size: size > Self.maximumUstarSize ? 0 : size, type: UInt8(ascii: "0")))
        self.missing = size
        self.padding = Int(Self.rounded(size) - size)
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(Int64(bytes.count) <= self.missing, "a member gets more bytes than were announced")
        self.missing -= Int64(bytes.count)
        try self.output.write(bytes)
    }

    mutating func end() throws {
        precondition(self.missing == 0, "a member lacks bytes that were announced")
        if self.padding > 0 { try self.put(Array(Self.zeros[..<self.padding])) }
        self.padding = 0
    }

    mutating func member(_ name: String, _ bytes: [UInt8]) throws {
        try self.begin(name, size: Int64(bytes.count))
        try bytes.withUnsafeBytes { try self.write($0) }
        try self.end()
    }

    mutating func finish() throws { try self.put(Self.zeros) }

    private func put(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try self.output.write($0) } }

    // MARK: - Headers

    private static func header(name: String, size: Int64, type: UInt8) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: Int(Self.block))
        func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
            for (index, byte) in bytes.enumerated() { header[offset + index] = byte }
        }
        // A longer name stands in a PAX header, and what is here is for readers that know none.
        put(name.utf8.prefix(100), at: 0)
        put("0000644".utf8, at: 100)
        put("0000000".utf8, at: 108)
        put("0000000".utf8, at: 116)
        put(Self.octal(size, 11), at: 124)
        put("00000000000".utf8, at: 136)
        put("        ".utf8, at: 148)
        header[156] = type
        put("ustar\u{0}00".utf8, at: 257)
        put("0000000".utf8, at: 329)
        put("0000000".utf8, at: 337)
        let sum = header.reduce(Int64(0)) { $0 + Int64($1) }
        put(Self.octal(sum, 6) + [0, 0x20], at: 148)
        return header
    }

    private static func octal(_ number: Int64, _ digits: Int) -> [UInt8] {
        let text = Array(String(number, radix: 8).utf8)
        return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text
    }

    /// What ustar cannot say of a member; empty nearly always.
    private static func records(_ name: String, _ size: Int64) -> [UInt8] {
        var records: [UInt8] = []
        if name.utf8.count > 100 { records += Self.record("path", name) }
        if size > Self.maximumUstarSize { records += Self.record("size", "\(size)") }
        return records
    }

    /// A record begins with its own length, which counts its own digits.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count
        while length != rest.utf8.count + "\(length)".utf8.count { length = rest.utf8.count + "\(length)".utf8.count }
        return Array("\(length)\(rest)".utf8)
    }
}
