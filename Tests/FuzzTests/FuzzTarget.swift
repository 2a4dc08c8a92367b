import TestSupport

/// One parser: what its inputs are made of, and what must hold for whatever it does with them.
struct FuzzTarget: Sendable {
    enum Verdict: Equatable, Sendable {
        case accepted
        case refused
        /// Something that a specification promises does not hold.
        case broken(String)
    }

    let name: String
    /// Inputs that are right, or nearly so; each input begins as one of them.
    let corpus: [[UInt8]]
    /// Pieces of the grammar, see `ByteMutator`.
    let words: [String]
    /// The number is for what an input does not carry, such as the size that a range is of.
    let check: @Sendable (_ input: [UInt8], _ number: Int) -> Verdict

    init(
        _ name: String, corpus: [String], words: [String],
        check: @escaping @Sendable (_ input: [UInt8], _ number: Int) -> Verdict
    ) {
        self.name = name
        self.corpus = corpus.map { Array($0.utf8) }
        self.words = words
        self.check = check
    }

    /// As above, for a parser of text: bytes that are no UTF-8 are repaired first, as a `String` of them is.
    init(_ name: String, corpus: [String], words: [String], text check: @escaping @Sendable (_ input: String) -> Verdict) {
        self.init(name, corpus: corpus, words: words) { bytes, _ in check(String(decoding: bytes, as: UTF8.self)) }
    }

    var mutator: ByteMutator { ByteMutator(seed: 0, words: self.words) }

    /// Makes an input from nothing but its number and the seed, so that any one can be made again alone.
    func input(_ number: Int, seed: UInt64, _ mutator: inout ByteMutator) -> [UInt8] {
        // FNV-1a of the name: two parsers of one grammar get different inputs.
        let hash = self.name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        mutator.reseed(Self.mixed(Self.mixed(seed ^ hash) &+ UInt64(truncatingIfNeeded: number)))
        var bytes = self.corpus[mutator.number(below: self.corpus.count)]
        switch mutator.number(below: 16) {
        case 0: break  // as it is: what is right must be taken
        case 1:
            let other = self.corpus[mutator.number(below: self.corpus.count)]
            bytes = bytes.prefix(mutator.number(below: bytes.count + 1)) + other.suffix(mutator.number(below: other.count + 1))
        case 2: for _ in 0..<4 { mutator.mutate(&bytes) }
        default: mutator.mutate(&bytes)
        }
        return bytes
    }

    /// The finalizer of SplitMix64: neighbours have nothing in common afterwards.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

extension String {
    /// Byte for byte; `==` takes canonically equivalent texts for equal.
    func isSame(as other: some StringProtocol) -> Bool { self.utf8.elementsEqual(other.utf8) }
}
