import OCI

/// What a PAX header says of the member behind it, as far as it matters here.
///
/// Source: POSIX.1-2017, pax, "pax Extended Header": records of `LENGTH KEY=VALUE` and LF, the length counting itself.
struct PAXRecords {
    private(set) var path: [UInt8]?
    private(set) var linkTarget: [UInt8]?
    private(set) var size: Int64?

    init(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        var seen: Set<String> = []
        while !rest.isEmpty {
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard (1...6).contains(digits.count), digits.first != UInt8(ascii: "0"),
                let length = Int(String(decoding: digits, as: UTF8.self)), length <= rest.count,
                rest.dropFirst(digits.count).first == 0x20
            else { throw Self.refusal }
            let record = rest.prefix(length)
            guard record.last == 0x0A, length > digits.count + 2 else { throw Self.refusal }
            let body = record.dropFirst(digits.count + 1).dropLast()
            guard let equals = body.firstIndex(of: UInt8(ascii: "=")) else { throw Self.refusal }
            let key = String(decoding: body[..<equals], as: UTF8.self)
            guard seen.insert(key).inserted else {
                throw BundleError(.refused, "a PAX header of it says \(BundleError.show(body[..<equals])) twice")
            }
            try self.take(key, Array(body[body.index(after: equals)...]))
            rest = rest.dropFirst(length)
        }
    }

    private static let refusal = BundleError(.refused, "it has a malformed PAX header")

    private mutating func take(_ key: String, _ value: [UInt8]) throws {
        switch key {
        case "path": self.path = value
        case "linkpath": self.linkTarget = value
        case "size":
            guard (1...18).contains(value.count), value.allSatisfy({ (0x30...0x39).contains($0) }),
                value.first != 0x30 || value.count == 1,
                let size = Int64(String(decoding: value, as: UTF8.self))
            else { throw BundleError(.refused, "a PAX header of it has a size that is none") }
            self.size = size
        case "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment": break
        case "hdrcharset":
            guard value.elementsEqual("ISO-IR 10646 2000 UTF-8".utf8) || value.elementsEqual("BINARY".utf8) else {
                throw BundleError(.refused, "a PAX header of it is in another character set")
            }
        default:
            if key.hasPrefix("GNU.sparse.") {
                throw BundleError(.refused, "it has a sparse file; a bundle has regular files only")
            }
            guard key.hasPrefix("SCHILY.") || key.hasPrefix("LIBARCHIVE.") else {
                throw BundleError(.refused, "a PAX header of it has the unknown key \(BundleError.show(key.utf8))")
            }
        }
    }
}
