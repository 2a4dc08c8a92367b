/// Damages documents the way a fuzzer does: a few small changes at a time, some of which the grammar allows.
///
/// Equal seeds give equal changes, so a failing input is found again by its number.
package struct ByteMutator {
    private var state: UInt64
    /// Pieces of the grammar that are put in, or in place of something else.
    private let words: [[UInt8]]

    package init(seed: UInt64, words: [String]) {
        self.state = Self.state(seed)
        self.words = words.map { Array($0.utf8) }
    }

    /// Goes on as one that was made with another seed.
    package mutating func reseed(_ seed: UInt64) { self.state = Self.state(seed) }

    /// Any state but 0; the multiplication keeps neighbouring seeds apart.
    private static func state(_ seed: UInt64) -> UInt64 { (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// A number below `limit`, which is above zero.
    package mutating func number(below limit: Int) -> Int {
        // xorshift64
        self.state ^= self.state << 13
        self.state ^= self.state >> 7
        self.state ^= self.state << 17
        return Int(truncatingIfNeeded: self.state >> 1) % limit
    }

    /// Changes a document in one to three places.
    package mutating func mutate(_ bytes: inout [UInt8]) {
        for _ in 0...self.number(below: 3) { self.mutateOnce(&bytes) }
    }

    private mutating func mutateOnce(_ bytes: inout [UInt8]) {
        let word = self.words[self.number(below: self.words.count)]
        guard !bytes.isEmpty else { return bytes += word }
        let start = self.number(below: bytes.count)
        let end = min(bytes.count, start + self.number(below: 12))
        switch self.number(below: 10) {
        case 0: bytes[start] ^= 1 << UInt8(self.number(below: 8))
        case 1: bytes[start] = UInt8(truncatingIfNeeded: self.number(below: 256))
        case 2: bytes.removeSubrange(start..<end)
        case 3: bytes.insert(contentsOf: bytes[start..<end], at: end)
        case 4: bytes.insert(contentsOf: word, at: start)
        case 5: bytes.replaceSubrange(start..<min(bytes.count, start + word.count), with: word)
        case 6: bytes.swapAt(start, self.number(below: bytes.count))
        case 7: self.replaceNumber(from: start, in: &bytes)
        case 8: self.replaceMember(from: start, in: &bytes)
        default: bytes.removeSubrange((self.number(below: 8) == 0 ? start : bytes.count - 1)...)
        }
    }

    /// Puts another number in the place of the next digits.
    private mutating func replaceNumber(from start: Int, in bytes: inout [UInt8]) {
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        guard let first = bytes[start...].firstIndex(where: isDigit) else { return }
        let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
        let numbers = [
            "0", "1", "-1", "00", "1.0", "1e3", "17", "999999999999999999", "1000000000000000000", "9223372036854775807",
            "9223372036854775808", "-9223372036854775808", "18446744073709551616",
        ]
        bytes.replaceSubrange(first..<end, with: numbers[self.number(below: numbers.count)].utf8)
    }

    /// Puts a word in the place of what stands between the next two commas.
    private mutating func replaceMember(from start: Int, in bytes: inout [UInt8]) {
        let comma = UInt8(ascii: ",")
        guard let first = bytes[start...].firstIndex(of: comma) else { return }
        let end = bytes[(first + 1)...].firstIndex(of: comma) ?? bytes.count
        bytes.replaceSubrange((first + 1)..<end, with: self.words[self.number(below: self.words.count)])
    }
}
