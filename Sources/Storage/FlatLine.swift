import Glibc
import OCI

/// Goes through a plain journal line, which nearly all are, without making a string of each key and value.
///
/// Only what this version itself writes is understood here: known keys, each once, no space, texts without escapes, whole numbers
/// of at most 18 digits, the checksum last. Whatever else a line holds is for the general reader, which decides whether it makes
/// sense: nil from here says nothing of the line.
struct FlatLine {
    enum Key: Int {
        case generation, sequence, operation, digest, size, repository, at, reference, mediaType, subject, childCount, children,
            way, checksum

        init?(_ text: UnsafeRawBufferPointer) {
            switch (text.count, text.first) {
            case (1, UInt8(ascii: "g")): self = .generation
            case (1, UInt8(ascii: "q")): self = .sequence
            case (1, UInt8(ascii: "d")): self = .digest
            case (1, UInt8(ascii: "c")): self = .checksum
            case (1, UInt8(ascii: "n")): self = .childCount
            case (2, UInt8(ascii: "o")) where text[1] == UInt8(ascii: "p"): self = .operation
            case (2, UInt8(ascii: "a")) where text[1] == UInt8(ascii: "t"): self = .at
            case (3, UInt8(ascii: "r")) where text[1] == UInt8(ascii: "e") && text[2] == UInt8(ascii: "f"): self = .reference
            case (3, UInt8(ascii: "v")) where text.spells("via"): self = .way
            case (4, UInt8(ascii: "s")) where text.spells("size"): self = .size
            case (4, UInt8(ascii: "r")) where text.spells("repo"): self = .repository
            case (4, UInt8(ascii: "t")) where text.spells("type"): self = .mediaType
            case (4, UInt8(ascii: "k")) where text.spells("kids"): self = .children
            case (7, UInt8(ascii: "s")) where text.spells("subject"): self = .subject
            default: return nil
            }
        }
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var seen = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next key, whose value has to be taken before the one after it; nil for one that is unknown or was there already.
    mutating func key() -> Key? {
        guard self.take(self.seen == 0 ? UInt8(ascii: "{") : UInt8(ascii: ",")), let key = self.text().flatMap(Key.init),
            self.seen & 1 << key.rawValue == 0, self.take(UInt8(ascii: ":"))
        else { return nil }
        self.seen |= 1 << key.rawValue
        return key
    }

    /// Takes the checksum's value; whether the line ends behind it.
    mutating func ends() -> Bool {
        self.text() != nil && self.take(UInt8(ascii: "}")) && self.position == self.bytes.count
    }

    /// A text without escapes.
    mutating func text() -> UnsafeRawBufferPointer? {
        guard self.take(UInt8(ascii: "\"")) else { return nil }
        let start = self.position
        while self.position < self.bytes.count {
            switch self.bytes[self.position] {
            case UInt8(ascii: "\""):
                self.position += 1
                return UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.position - 1])
            case UInt8(ascii: "\\"): return nil
            default: self.position += 1
            }
        }
        return nil
    }

    mutating func digest() -> Digest? {
        guard self.take(UInt8(ascii: "\"")) else { return nil }
        return self.digest(ofLength: 71) ?? self.digest(ofLength: 135)
    }

    private mutating func digest(ofLength length: Int) -> Digest? {
        let end = self.position + length
        guard end < self.bytes.count, self.bytes[end] == UInt8(ascii: "\""),
            let digest = Digest(parsing: UnsafeRawBufferPointer(rebasing: self.bytes[self.position..<end]))
        else { return nil }
        self.position = end + 1
        return digest
    }

    mutating func number() -> Int64? {
        let start = self.position
        var number: Int64 = 0
        while self.position < self.bytes.count, self.position - start < 18 {
            let digit = self.bytes[self.position] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            number = number &* 10 &+ Int64(digit)
            self.position += 1
        }
        guard self.position > start, self.bytes[start] != UInt8(ascii: "0") || self.position - start == 1 else { return nil }
        return number
    }

    /// `[["layer","sha256:…",123,"linux/amd64"],…]`, the platform being optional; there are probably `expected` of them.
    mutating func edges(expected: Int64?) -> [Edge]? {
        guard self.take(UInt8(ascii: "[")) else { return nil }
        var edges: [Edge] = []
        if self.take(UInt8(ascii: "]")) { return edges }
        // No more than a line can hold, whatever it says.
        edges.reserveCapacity(min(Int(expected ?? 0), JournalLine.maximumLength / 80))
        while true {
            guard let edge = self.edge() else { return nil }
            edges.append(edge)
            if self.take(UInt8(ascii: "]")) { return edges }
            guard self.take(UInt8(ascii: ",")) else { return nil }
        }
    }

    private mutating func edge() -> Edge? {
        guard self.take(UInt8(ascii: "[")), let role = self.text().flatMap(Manifest.Role.init(spelledAs:)),
            self.take(UInt8(ascii: ",")), let digest = self.digest(),
            self.take(UInt8(ascii: ",")), let size = self.number()
        else { return nil }
        var platform: String?
        if self.take(UInt8(ascii: ",")) {
            guard let text = self.text() else { return nil }
            platform = String(decoding: text, as: UTF8.self)
        }
        guard self.take(UInt8(ascii: "]")) else { return nil }
        return Edge(role: role, digest: digest, size: size, platform: platform)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.position < self.bytes.count, self.bytes[self.position] == byte else { return false }
        self.position += 1
        return true
    }
}

extension Manifest.Role {
    fileprivate init?(spelledAs text: UnsafeRawBufferPointer) {
        switch text.first {
        case UInt8(ascii: "l") where text.spells("layer"): self = .layer
        case UInt8(ascii: "m") where text.spells("manifest"): self = .manifest
        case UInt8(ascii: "c") where text.spells("config"): self = .config
        case UInt8(ascii: "f") where text.spells("foreign"): self = .foreignLayer
        case UInt8(ascii: "b") where text.spells("blob"): self = .blob
        default: return nil
        }
    }
}

extension UnsafeRawBufferPointer {
    func spells(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { self.isEqual(to: UnsafeRawBufferPointer($0)) }
    }

    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard self.count == other.count, let base = self.baseAddress, let otherBase = other.baseAddress else {
            return self.count == other.count
        }
        return memcmp(base, otherBase, self.count) == 0
    }
}
