import TestSupport

/// Gzip data by RFC 1951 and 1952, without the library under test.
enum GzipText {
    /// Blocks that are stored as they are.
    static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        var start = 0
        repeat {
            let end = min(bytes.count, start + 0xFFFF)
            let length = UInt16(end - start)
            text.append(end == bytes.count ? 1 : 0)
            text += [UInt8(length & 0xFF), UInt8(length >> 8), UInt8(~length & 0xFF), UInt8(~length >> 8)]
            text += bytes[start..<end]
            start = end
        } while start < bytes.count
        for number in [Self.checksum(bytes), UInt32(truncatingIfNeeded: bytes.count)] {
            for shift in [0, 8, 16, 24] as [UInt32] { text.append(UInt8(truncatingIfNeeded: number >> shift)) }
        }
        return text
    }

    /// By the program, which makes it small.
    static func packed(_ bytes: [UInt8]) throws -> [UInt8] {
        let folder = try TemporaryDirectory()
        try Disk.write(bytes, to: folder.path("file"))
        let (status, output) = try ShellCommand.run(["gzip", "-c", folder.path("file")])
        guard status == 0 else { throw TestSupportError(.system, "gzip failed") }
        return output
    }

    /// CRC-32 as RFC 1952, 8, has it.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var table: [UInt32] = []
        for number in 0..<256 as Range<UInt32> {
            var value = number
            for _ in 0..<8 { value = value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
            table.append(value)
        }
        var checksum: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            let index = UInt8(truncatingIfNeeded: checksum) ^ byte
            checksum = table[Int(index)] ^ (checksum >> 8)
        }
        return ~checksum
    }
}
