import Glibc
import OCI

/// Reads the plain journal lines, which are nearly all, without making a string of each key and value.
///
/// Only what this version itself writes is understood here: known keys, each once, texts without escapes, whole numbers, the
/// checksum last. Whatever else a line holds is for the general reader, which decides whether it makes sense.
struct FlatLine {
    enum Key: Int {
        case generation, sequence, operation, digest, size, repository, at, reference, checksum

        init?(_ bytes: UnsafeRawBufferPointer) {
            switch (bytes.count, bytes.first) {
            case (1, UInt8(ascii: "g")): self = .generation
            case (1, UInt8(ascii: "q")): self = .sequence
            case (1, UInt8(ascii: "d")): self = .digest
            case (1, UInt8(ascii: "c")): self = .checksum
            case (2, UInt8(ascii: "o")) where bytes[1] == UInt8(ascii: "p"): self = .operation
            case (2, UInt8(ascii: "a")) where bytes[1] == UInt8(ascii: "t"): self = .at
            case (3, UInt8(ascii: "r")) where bytes[1] == UInt8(ascii: "e") && bytes[2] == UInt8(ascii: "f"): self = .reference
            case (4, UInt8(ascii: "s")) where bytes.elementsEqual("size".utf8): self = .size
            case (4, UInt8(ascii: "r")) where bytes.elementsEqual("repo".utf8): self = .repository
            default: return nil
            }
        }
    }

    enum Value {
        case text(UnsafeRawBufferPointer)
        case number(Int64)
    }

    /// Hands over each member; false when the line is not plain, or `member` does not want one.
    static func read(_ line: UnsafeRawBufferPointer, _ member: (Key, Value) -> Bool) -> Bool {
        guard line.first == UInt8(ascii: "{") else { return false }
        var position = 1
        var seen = 0
        while true {
            guard let keyBytes = Self.text(line, &position), let key = Key(keyBytes), seen & 1 << key.rawValue == 0,
                Self.take(UInt8(ascii: ":"), line, &position), let value = Self.value(line, &position)
            else { return false }
            seen |= 1 << key.rawValue
            if key == .checksum { return Self.take(UInt8(ascii: "}"), line, &position) && position == line.count }
            guard member(key, value), Self.take(UInt8(ascii: ","), line, &position) else { return false }
        }
    }

    private static func take(_ byte: UInt8, _ line: UnsafeRawBufferPointer, _ position: inout Int) -> Bool {
        guard position < line.count, line[position] == byte else { return false }
        position += 1
        return true
    }

    /// A text without escapes.
    private static func text(_ line: UnsafeRawBufferPointer, _ position: inout Int) -> UnsafeRawBufferPointer? {
        guard Self.take(UInt8(ascii: "\""), line, &position) else { return nil }
        let start = position
        while position < line.count, line[position] != UInt8(ascii: "\"") {
            if line[position] == UInt8(ascii: "\\") { return nil }
            position += 1
        }
        guard position < line.count else { return nil }
        position += 1
        return UnsafeRawBufferPointer(rebasing: line[start..<position - 1])
    }

    private static func value(_ line: UnsafeRawBufferPointer, _ position: inout Int) -> Value? {
        guard position < line.count else { return nil }
        if line[position] == UInt8(ascii: "\"") { return Self.text(line, &position).map { .text($0) } }
        let start = position
        var number: Int64 = 0
        // Eighteen digits fit; anything longer, or signed, is for the general reader.
        while position < line.count, position - start < 18, (0x30...0x39).contains(line[position]) {
            number = number * 10 + Int64(line[position] - 0x30)
            position += 1
        }
        guard position > start, line[start] != UInt8(ascii: "0") || position - start == 1 else { return nil }
        return .number(number)
    }
}

/// Repositories by the bytes of their names: a journal names each of them many times.
final class RepositoryNames {
    private var known: [UInt64: (bytes: [UInt8], repository: QualifiedRepository)] = [:]

    /// The repository of a name; nil when the name is malformed.
    func repository(_ bytes: UnsafeRawBufferPointer) -> QualifiedRepository? {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        if let entry = self.known[hash], entry.bytes.count == bytes.count, entry.bytes.elementsEqual(bytes) {
            return entry.repository
        }
        do {
            let repository = try QualifiedRepository(parsing: String(decoding: bytes, as: UTF8.self))
            self.known[hash] = (Array(bytes), repository)
            return repository
        } catch {
            return nil  // the line makes no sense, and is treated so
        }
    }
}
