import OCI
import TestSupport
import Testing

@testable import Archive

/// Bytes that nobody thought of: whatever they are, a reader says yes or no, and ends.
@Suite("Mutated archives")
struct TarMutationTests {
    @Test("no mutation of an archive traps, and what is taken has honest places", arguments: [1, 2] as [UInt64])
    func archives(_ seed: UInt64) throws {
        var tar = TarText()
        tar.addPAX(TarText.record("path", "index.json") + TarText.record("size", "5"))
        tar.add("x", Array("hello".utf8))
        tar.add("oci-layout", LayoutText.layout)
        tar.add(TarText.Header(name: "l/layer.tar", size: 0, type: "2", link: "../oci-layout"))
        let good = tar.bytes + TarText.end
        var generator = Seeded(state: seed)
        for _ in 0..<1500 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...600, using: &generator)))
                case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 512)], at: place)
                default: bytes[place] = UInt8(ascii: "7")
                }
                if bytes.isEmpty { bytes = [0] }
                // A header that is changed keeps a right checksum often enough to be read.
                if Bool.random(using: &generator) { Self.mend(&bytes) }
            }
            let file = try BundleFile([try Disk.unnamedFile(holding: bytes)])
            guard let directory = try? TarDirectory(file) else { continue }
            for place in directory.members.values {
                #expect(place.offset >= 512 && place.size >= 0 && place.offset + place.size <= file.size)
            }
        }
    }

    /// Writes the right checksum into every block that looks like a header.
    private static func mend(_ bytes: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count - 511, by: 512) where bytes[start + 257] == UInt8(ascii: "u") {
            for index in 148..<156 { bytes[start + index] = 0x20 }
            let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
            let digits = String(sum, radix: 8)
            for (index, digit) in (String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "\0").utf8.enumerated() {
                bytes[start + 148 + index] = digit
            }
        }
    }

    @Test("no PAX records trap")
    func records() {
        var generator = Seeded(state: 7)
        let words = [
            "9 path=x\n", "size=", "99999999999999999999", " ", "\n", "=", "11 path=ab\n", "-1", "\0", "GNU.sparse.major",
            "12 size=1234\n",
        ]
        var taken = 0
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                bytes += (words.randomElement(using: &generator) ?? "").utf8
            }
            if (try? PAXRecords(bytes)) != nil { taken += 1 }
        }
        #expect(taken > 100)
    }
}

/// Numbers that look random and are the same each time.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
