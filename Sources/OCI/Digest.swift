/// The content identifier of a blob or manifest: an algorithm and the hash of the exact bytes.
///
/// A value of this type is always well formed, so it can be a path component and a map key without another
/// check. Algorithms other than sha256 and sha512 do not exist here: what cannot be verified is never accepted.
/// Source: image spec, "Digests", https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
package struct Digest: Hashable, Sendable {
    package enum Algorithm: String, Sendable, CaseIterable {
        case sha256
        case sha512

        /// Length of the hash in bytes.
        package var byteCount: Int {
            switch self {
            case .sha256: 32
            case .sha512: 64
            }
        }
    }

    /// sha256 is inline because nearly every digest is one; sha512 is boxed so that it does not double the size of all.
    private enum Storage: Hashable, Sendable {
        case sha256(UInt64, UInt64, UInt64, UInt64)
        indirect case sha512(Half, Half)
    }

    private struct Half: Hashable, Sendable {
        let a, b, c, d: UInt64
    }

    private let storage: Storage

    package var algorithm: Algorithm {
        switch self.storage {
        case .sha256: .sha256
        case .sha512: .sha512
        }
    }

    /// Makes a digest of the raw hash; nil when its length is not the algorithm's.
    package init?(_ algorithm: Algorithm, hash: UnsafeRawBufferPointer) {
        guard hash.count == algorithm.byteCount else { return nil }
        func word(_ number: Int) -> UInt64 {
            UInt64(bigEndian: hash.loadUnaligned(fromByteOffset: number * 8, as: UInt64.self))
        }
        switch algorithm {
        case .sha256: self.storage = .sha256(word(0), word(1), word(2), word(3))
        case .sha512:
            self.storage = .sha512(
                Half(a: word(0), b: word(1), c: word(2), d: word(3)), Half(a: word(4), b: word(5), c: word(6), d: word(7)))
        }
    }

    /// Appends the raw hash, as `init(_:hash:)` takes it.
    package func appendHash(to bytes: inout [UInt8]) {
        func append(_ word: UInt64) { withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) } }
        switch self.storage {
        case .sha256(let a, let b, let c, let d):
            append(a)
            append(b)
            append(c)
            append(d)
        case .sha512:
            for word in self.words { append(word) }
        }
    }

    /// As above, of any bytes.
    package init?(_ algorithm: Algorithm, hash: some Collection<UInt8>) {
        guard hash.count == algorithm.byteCount else { return nil }
        var words: [UInt64] = []
        words.reserveCapacity(8)
        var word: UInt64 = 0
        for (index, byte) in hash.enumerated() {
            word = word << 8 | UInt64(byte)
            if index % 8 == 7 {
                words.append(word)
                word = 0
            }
        }
        self.init(algorithm, words: words)
    }

    private init(_ algorithm: Algorithm, words: [UInt64]) {
        switch algorithm {
        case .sha256: self.storage = .sha256(words[0], words[1], words[2], words[3])
        case .sha512:
            self.storage = .sha512(
                Half(a: words[0], b: words[1], c: words[2], d: words[3]),
                Half(a: words[4], b: words[5], c: words[6], d: words[7]))
        }
    }

    /// Parses `sha256:` and 64, or `sha512:` and 128 lower-case hex digits, and nothing else.
    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        var utf8 = Substring(text).utf8
        let algorithm: Algorithm
        if utf8.starts(with: "sha256:".utf8) {
            algorithm = .sha256
        } else if utf8.starts(with: "sha512:".utf8) {
            algorithm = .sha512
        } else {
            throw ReferenceError(.unsupportedDigest, String(text.prefix(160)))
        }
        utf8 = utf8.dropFirst(7)
        guard let digest = Digest(algorithm, hex: utf8) else {
            throw ReferenceError(.invalidDigest, String(text.prefix(160)))
        }
        self = digest
    }

    /// The digest of an algorithm's lower-case hex digits; nil for any other length or character.
    package init?(_ algorithm: Algorithm, hex: some Collection<UInt8>) {
        guard hex.count == algorithm.byteCount * 2 else { return nil }
        var words: [UInt64] = []
        words.reserveCapacity(8)
        var word: UInt64 = 0
        for (index, character) in hex.enumerated() {
            guard let nibble = character.lowercaseHexValue else { return nil }
            word = word << 4 | UInt64(nibble)
            if index % 16 == 15 {
                words.append(word)
                word = 0
            }
        }
        self.init(algorithm, words: words)
    }

    /// As `init(parsing:)`, from bytes and without a word on what is wrong: for reading many.
    package init?(parsing text: UnsafeRawBufferPointer) {
        guard text.count >= 8 else { return nil }
        let prefix = UInt64(bigEndian: text.loadUnaligned(as: UInt64.self)) >> 8
        func word(_ number: Int) -> UInt64? { HexDigits.word(text, at: 7 + number * 16) }
        switch (prefix, text.count) {
        case (0x73_6861_3235_363A, 7 + 64):  // "sha256:"
            guard let a = word(0), let b = word(1), let c = word(2), let d = word(3) else { return nil }
            self.storage = .sha256(a, b, c, d)
        case (0x73_6861_3531_323A, 7 + 128):  // "sha512:"
            guard let a = word(0), let b = word(1), let c = word(2), let d = word(3), let e = word(4), let f = word(5),
                let g = word(6), let h = word(7)
            else { return nil }
            self.storage = .sha512(Half(a: a, b: b, c: c, d: d), Half(a: e, b: f, c: g, d: h))
        default: return nil
        }
    }

    /// Appends what `description` says, without making a string: for writing many.
    package func write(to bytes: inout [UInt8]) {
        switch self.storage {
        case .sha256(let a, let b, let c, let d):
            bytes += "sha256:".utf8
            HexDigits.append(a, b, c, d, to: &bytes)
        case .sha512(let x, let y):
            bytes += "sha512:".utf8
            HexDigits.append(x.a, x.b, x.c, x.d, to: &bytes)
            HexDigits.append(y.a, y.b, y.c, y.d, to: &bytes)
        }
    }

    private var words: [UInt64] {
        switch self.storage {
        case .sha256(let a, let b, let c, let d): [a, b, c, d]
        case .sha512(let x, let y): [x.a, x.b, x.c, x.d, y.a, y.b, y.c, y.d]
        }
    }

    /// A few well-mixed bits, equal for equal digests, for choosing one of many shards.
    package var shardHint: Int {
        switch self.storage {
        case .sha256(let a, _, _, _): Int(truncatingIfNeeded: a >> 56)
        case .sha512(let x, _): Int(truncatingIfNeeded: x.a >> 56)
        }
    }

    /// The hash as lower-case hex digits, without the algorithm.
    package var hex: String {
        let words = self.words
        return String(unsafeUninitializedCapacity: words.count * 16) { buffer in
            var position = 0
            for word in words {
                for shift in stride(from: 60, through: 0, by: -4) {
                    buffer[position] = Self.hexDigits[Int(truncatingIfNeeded: word >> UInt64(shift)) & 0xF]
                    position += 1
                }
            }
            return position
        }
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)
}

extension Digest {
    /// A hash is well mixed as it is: one word of it does for a table's, whose own secret comes on top.
    package func hash(into hasher: inout Hasher) {
        switch self.storage {
        case .sha256(_, let b, _, _): hasher.combine(b)
        case .sha512(let x, _): hasher.combine(x.b)
        }
    }
}

extension Digest: CustomStringConvertible {
    package var description: String { "\(self.algorithm.rawValue):\(self.hex)" }
}

extension Digest: Comparable {
    package static func < (lhs: Digest, rhs: Digest) -> Bool {
        switch (lhs.storage, rhs.storage) {
        case (.sha256(let a, let b, let c, let d), .sha256(let e, let f, let g, let h)): (a, b, c, d) < (e, f, g, h)
        case (.sha512, .sha512): lhs.words.lexicographicallyPrecedes(rhs.words)
        default: lhs.algorithm.rawValue < rhs.algorithm.rawValue
        }
    }
}

extension UInt8 {
    /// The value of a lower-case hex digit; upper case is no digest, so it is no digit here.
    fileprivate var lowercaseHexValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
