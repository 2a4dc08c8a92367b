import OCI
import Testing

@testable import Storage

/// RELIABILITY.md §3.1. The checksums of the literals are Python's `zlib.crc32`.
struct JournalLineTests {
    static let header = #"{"amargo":"journal","format":1,"minReader":1,"g":42,"store":"4f6c1b0e","c":"ccb21616"}"#
    static let pin =
        #"{"g":42,"q":17,"op":"pin","repo":"docker.io/library/nginx","ref":"1.27","at":1764000000,"c":"60ced3b6"}"#
    static let use =
        #"{"g":7,"q":3,"op":"use","d":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","at":1764000000,"#
        + #""c":"197d7854"}"#

    private static func isIntact(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { JournalLine.isIntact($0) } }

    // python3: zlib.crc32(bytes(i * 7 % 251 for i in range(n)))
    @Test(
        "the checksum is zlib's CRC-32, whatever the length",
        arguments: [
            (0, 0x0000_0000), (1, 0xD202_EF8D), (15, 0xC356_FBB9), (16, 0x5412_6BA2), (63, 0x0BC2_08D7), (64, 0xE667_F479),
            (65, 0x1033_77DE), (79, 0x3128_90EE), (80, 0x2A51_6974), (81, 0x434C_D273), (127, 0x9089_E0BB), (128, 0x6D42_077B),
            (129, 0x68BF_9B8F), (144, 0x98FF_135F), (191, 0x4016_FDBA), (192, 0x7C93_933A), (255, 0x07A7_E2C4),
            (256, 0x5A0D_1289), (1000, 0x04DA_8651), (4096, 0xEBA0_9562), (16367, 0x488E_507A),
        ] as [(Int, UInt32)])
    func checksum(_ count: Int, _ expected: UInt32) {
        // One byte further on, so that nothing is aligned.
        let bytes = [0] + (0..<count).map { UInt8($0 * 7 % 251) }
        let checksum = bytes.withUnsafeBytes { JournalLine.checksum(UnsafeRawBufferPointer(rebasing: $0[1...])) }
        #expect(checksum == expected)
    }

    @Test("the test vectors of the specification are intact", arguments: [header, pin, use])
    func vectors(_ line: String) {
        #expect(Self.isIntact(line))
    }

    @Test("the header is read")
    func header() throws {
        let header = try #require(Array(Self.header.utf8).withUnsafeBytes { JournalLine.header($0) })
        #expect(header.format == 1)
        #expect(header.minReader == 1)
        #expect(header.generation == 42)
        #expect(header.store == "4f6c1b0e")
        #expect(header.live == 0)
        #expect(Array(Self.pin.utf8).withUnsafeBytes { JournalLine.header($0) } == nil)
    }

    @Test("an entry is written as the specification says")
    func encodes() {
        let payload = #""op":"pin","repo":"docker.io/library/nginx","ref":"1.27","at":1764000000"#
        let line = JournalLine.encode(generation: 42, sequence: 17, payload: Array(payload.utf8))
        #expect(String(decoding: line, as: UTF8.self) == Self.pin + "\n")
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        let use = JournalLine.encode(
            generation: 7, sequence: 3, payload: Array("\"op\":\"use\",\"d\":\"\(digest)\",\"at\":1764000000".utf8))
        #expect(String(decoding: use, as: UTF8.self) == Self.use + "\n")
    }

    @Test("a header that is written is read again")
    func writesHeader() throws {
        var line = JournalLine.header(generation: 3, store: "0badcafe", live: 12_345)
        #expect(line.popLast() == 0x0A)
        #expect(line.withUnsafeBytes { JournalLine.isIntact($0) })
        let header = try #require(line.withUnsafeBytes { JournalLine.header($0) })
        #expect(header.generation == 3)
        #expect(header.store == "0badcafe")
        #expect(header.live == 12_345)
    }

    @Test("no flipped bit leaves a line intact")
    func flips() {
        for line in [Self.header, Self.pin, Self.use] {
            var bytes = Array(line.utf8)
            for bit in 0..<(bytes.count * 8) {
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(!bytes.withUnsafeBytes { JournalLine.isIntact($0) }, "bit \(bit)")
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            }
        }
    }

    @Test("no part of a line is intact")
    func cuts() {
        let line = Array(Self.pin.utf8)
        for count in 0..<line.count {
            #expect(!line[..<count].withUnsafeBytes { JournalLine.isIntact($0) }, "\(count) bytes")
            #expect(!line[(line.count - count)...].withUnsafeBytes { JournalLine.isIntact($0) }, "\(count) bytes from the end")
        }
    }

    @Test(
        "a right checksum in a wrong form",
        arguments: [
            pin + "\n", pin + " ", " " + pin, "\u{FEFF}" + pin, pin.replacing("60ced3b6", with: "60CED3B6"),
            pin.replacing(",\"c\"", with: ", \"c\""), pin.replacing("\"c\":\"", with: "\"C\":\""),
            pin.replacing("60ced3b6\"}", with: "60ced3b6\" }"),
        ])
    func forms(_ line: String) {
        #expect(!Self.isIntact(line))
    }

    @Test(
        "a line with a byte that is not printable ASCII is damaged, whatever its checksum says",
        arguments: [0x00, 0x1F, 0x7F, 0x80, 0xC3])
    func unprintable(_ byte: UInt8) {
        let line = JournalLine.encode(generation: 1, sequence: 1, payload: Array("\"op\":\"x\",\"y\":\"".utf8) + [byte, 0x22])
        #expect(!line.dropLast().withUnsafeBytes { JournalLine.isIntact($0) })
    }

    @Test("16 KiB with its LF is the longest line")
    func longest() {
        let overhead = JournalLine.encode(generation: 1, sequence: 1, payload: []).count
        for (length, isIntact) in [(16_384, true), (16_385, false)] {
            let payload = [UInt8](repeating: UInt8(ascii: "x"), count: length - overhead)
            let line = JournalLine.encode(generation: 1, sequence: 1, payload: payload)
            #expect(line.count == length)
            #expect(line.dropLast().withUnsafeBytes { JournalLine.isIntact($0) } == isIntact)
        }
    }
}
