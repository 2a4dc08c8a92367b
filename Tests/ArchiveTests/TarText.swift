import TestSupport

/// Archives byte by byte, with every field as a test wants it: written by POSIX's and GNU tar's descriptions, without the code under test.
struct TarText {
    struct Header {
        var name: String
        var size: Int
        var type: Character = "0"
        var link = ""
        var magic = "ustar\u{0}00"
        var prefix = ""
        /// The size field as it stands there; nil for octal digits of `size`.
        var sizeField: [UInt8]?
        var nameField: [UInt8]?
        /// Added to the checksum.
        var checksumError = 0

        var bytes: [UInt8] {
            var block = [UInt8](repeating: 0, count: 512)
            func put(_ text: some Sequence<UInt8>, _ offset: Int, _ limit: Int) {
                for (index, byte) in text.enumerated() where index < limit { block[offset + index] = byte }
            }
            func octal(_ number: Int, _ width: Int) -> String {
                let digits = String(number, radix: 8)
                return String(repeating: "0", count: max(0, width - digits.count)) + digits
            }
            put(self.nameField ?? Array(self.name.utf8), 0, 100)
            put("0000644\0".utf8, 100, 8)
            put("0000000\0".utf8, 108, 8)
            put("0000000\0".utf8, 116, 8)
            put(self.sizeField ?? Array("\(octal(self.size, 11))\0".utf8), 124, 12)
            put("00000000000\0".utf8, 136, 12)
            put("        ".utf8, 148, 8)
            block[156] = self.type.asciiValue ?? 0
            put(self.link.utf8, 157, 100)
            put(self.magic.utf8, 257, 8)
            put(self.prefix.utf8, 345, 155)
            let sum = block.reduce(0) { $0 + Int($1) } + self.checksumError
            put("\(octal(sum, 6))\0 ".utf8, 148, 8)
            return block
        }
    }

    private(set) var bytes: [UInt8] = []

    /// The two blocks that end an archive.
    static let end = [UInt8](repeating: 0, count: 1024)

    /// A whole archive of these members.
    static func archive(_ members: [(name: String, content: [UInt8])]) -> [UInt8] {
        var tar = TarText()
        for (name, content) in members { tar.add(name, content) }
        return tar.bytes + Self.end
    }

    mutating func add(_ name: String, _ content: [UInt8]) {
        self.add(Header(name: name, size: content.count), content)
    }

    mutating func add(_ header: Header, _ content: [UInt8] = []) {
        self.bytes += header.bytes
        self.bytes += content
        let rest = content.count % 512
        if rest > 0 { self.bytes += [UInt8](repeating: 0, count: 512 - rest) }
    }

    /// A PAX header for the member that follows.
    mutating func addPAX(_ records: String) {
        let bytes = Array(records.utf8)
        self.add(Header(name: "PaxHeaders/x", size: bytes.count, type: "x"), bytes)
    }

    /// A PAX record with its length.
    static func record(_ key: String, _ value: String) -> String {
        let rest = key.utf8.count + value.utf8.count + 3
        var length = rest + String(rest).count
        if String(length).count != String(rest).count { length = rest + String(length).count }
        return "\(length) \(key)=\(value)\n"
    }
}
