/// Lower-case hex digits and the words they spell, eight digits at a time in one register.
enum HexDigits {
    /// The same byte eight times.
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let lowNibbles: UInt64 = 0x0F0F_0F0F_0F0F_0F0F

    /// The word that the 16 bytes at an offset spell; nil when one of them is no lower-case hex digit.
    static func word(_ text: UnsafeRawBufferPointer, at offset: Int) -> UInt64? {
        guard let high = Self.value(UInt64(bigEndian: text.loadUnaligned(fromByteOffset: offset, as: UInt64.self))),
            let low = Self.value(UInt64(bigEndian: text.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
        else { return nil }
        return high << 32 | low
    }

    /// Appends 64 digits.
    static func append(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, to bytes: inout [UInt8]) {
        let digits = (Self.digits(a), Self.digits(b), Self.digits(c), Self.digits(d))
        withUnsafeBytes(of: digits) { bytes.append(contentsOf: $0) }
    }

    private static func digits(_ word: UInt64) -> (UInt64, UInt64) {
        (Self.text(Self.spread(word >> 32)).bigEndian, Self.text(Self.spread(word & 0xFFFF_FFFF)).bigEndian)
    }

    private static func value(_ text: UInt64) -> UInt64? {
        // A letter has bit 6 set, and its low nibble counts from 1.
        let letters = (text >> 6) & Self.ones
        let nibbles = ((text & Self.lowNibbles) &+ (letters &* 9)) & Self.lowNibbles
        // Whatever else it was, upper case for one, is not how these nibbles are written.
        guard Self.text(nibbles) == text else { return nil }
        var value = (nibbles | (nibbles >> 4)) & 0x00FF_00FF_00FF_00FF
        value = (value | (value >> 8)) & 0x0000_FFFF_0000_FFFF
        return (value | (value >> 16)) & 0xFFFF_FFFF
    }

    /// A nibble a byte, as digits: the letters begin 0x27 further on.
    private static func text(_ nibbles: UInt64) -> UInt64 {
        let letters = ((nibbles &+ (Self.ones &* 6)) >> 4) & Self.ones
        return nibbles &+ (Self.ones &* 0x30) &+ (letters &* 0x27)
    }

    /// 32 bits as a nibble a byte.
    private static func spread(_ value: UInt64) -> UInt64 {
        var nibbles = (value | (value << 16)) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles | (nibbles << 8)) & 0x00FF_00FF_00FF_00FF
        return (nibbles | (nibbles << 4)) & Self.lowNibbles
    }
}
