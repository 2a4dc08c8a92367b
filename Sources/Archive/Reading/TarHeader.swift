import OCI

/// One block of 512 bytes that says what the bytes behind it are.
///
/// Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format", for the one magic that differs. What
/// two readers could understand differently is an error.
struct TarHeader {
    static let blockSize = 512

    enum Kind: Hashable {
        case file
        case folder
        case hardLink
        case symbolicLink
        /// PAX records for the member that follows.
        case extended
        /// GNU's name of the member that follows.
        case longName
        /// GNU's link target of the member that follows.
        case longLink
    }

    let kind: Kind
    /// As it stands here, without what extends it.
    let name: [UInt8]
    let linkTarget: [UInt8]
    /// Bytes.
    let size: Int64

    /// Reads a block that is not all zeros.
    init(_ block: UnsafeRawBufferPointer) throws {
        func field(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: block[start..<start + count])
        }
        // Whatever cannot be one is no checksum: the block is no header.
        let checksum = try? Self.number(field(148, 8), "checksum")
        guard checksum == Self.checksum(of: block) else {
            throw BundleError(.refused, "it is no tar archive, or a damaged one: a header's checksum is wrong")
        }
        var name = try Self.text(field(0, 100), "name")
        let isGNU = field(257, 8).elementsEqual("ustar  \0".utf8)
        if isGNU {
            // Other readers take this for the beginning of the name.
            guard field(345, 155).allSatisfy({ $0 == 0 }) else {
                throw BundleError(.refused, "its member \(BundleError.show(name)) has a header of an incremental backup")
            }
        } else {
            guard field(257, 8).elementsEqual("ustar\u{0}00".utf8) else {
                throw BundleError(
                    .refused, "its member \(BundleError.show(name)) has a header that is neither POSIX's nor GNU tar's")
            }
            let prefix = try Self.text(field(345, 155), "name")
            if !prefix.isEmpty { name = prefix + [UInt8(ascii: "/")] + name }
        }
        self.name = name
        self.linkTarget = try Self.text(field(157, 100), "link target")
        self.size = try Self.number(field(124, 12), "size of \(BundleError.show(name))")
        self.kind = try Self.kind(block[156], name)
    }

    static func isEnd(_ block: UnsafeRawBufferPointer) -> Bool { block.allSatisfy { $0 == 0 } }

    private static func kind(_ flag: UInt8, _ name: [UInt8]) throws -> Kind {
        switch flag {
        case UInt8(ascii: "0"), 0: return .file
        case UInt8(ascii: "1"): return .hardLink
        case UInt8(ascii: "2"): return .symbolicLink
        case UInt8(ascii: "5"): return .folder
        case UInt8(ascii: "x"): return .extended
        case UInt8(ascii: "L"): return .longName
        case UInt8(ascii: "K"): return .longLink
        default: break
        }
        let what =
            switch flag {
            case UInt8(ascii: "3"), UInt8(ascii: "4"): "a device"
            case UInt8(ascii: "6"): "a FIFO"
            case UInt8(ascii: "7"): "a contiguous file"
            case UInt8(ascii: "S"): "a sparse file"
            case UInt8(ascii: "g"): "a header for all that follows"
            default: "of an unknown kind (\(BundleError.show([flag])))"
            }
        throw BundleError(.refused, "its member \(BundleError.show(name)) is \(what); a bundle has regular files only")
    }

    /// The sum of all bytes, those of the sum itself counted as spaces.
    private static func checksum(of block: UnsafeRawBufferPointer) -> Int64 {
        var sum: Int64 = 8 * 0x20
        for byte in block { sum &+= Int64(byte) }
        for byte in block[148..<156] { sum &-= Int64(byte) }
        return sum
    }

    /// Up to the first NUL; behind it there is nothing else.
    private static func text(_ field: UnsafeRawBufferPointer, _ what: String) throws -> [UInt8] {
        let text = Array(field.prefix { $0 != 0 })
        guard field[text.count...].allSatisfy({ $0 == 0 }) else {
            throw BundleError(.refused, "it has a \(what) that goes on behind its end: \(BundleError.show(text))")
        }
        return text
    }

    /// Octal digits, or for what they cannot say GNU's binary form.
    private static func number(_ field: UnsafeRawBufferPointer, _ what: String) throws -> Int64 {
        let refusal = BundleError(.refused, "its \(what) is no number that makes sense")
        guard let first = field.first else { throw refusal }
        if first & 0x80 != 0 {
            // Negative, or beyond 63 bits.
            guard first == 0x80, field.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { throw refusal }
            let value = field.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            // What digits can say is never written like this.
            guard value > 0o777_7777_7777, value <= 1 << 60 else { throw refusal }
            return Int64(value)
        }
        let digits = field.drop { $0 == 0x20 }.prefix { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
        let rest = field[digits.endIndex...]
        guard !digits.isEmpty, rest.allSatisfy({ $0 == 0 || $0 == 0x20 }) else { throw refusal }
        return digits.reduce(0) { $0 << 3 | Int64($1 & 7) }
    }
}
