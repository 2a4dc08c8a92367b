import OCI

/// Values by the bytes that spell them, for a reader that meets the same few again and again.
///
/// Of two texts with the same hash only the later one is known; meeting the other costs another parse, no more.
struct InternedTexts<Value> {
    private struct Entry {
        let bytes: [UInt8]
        let value: Value
    }

    private var known: [UInt64: Entry] = [:]
    private let parse: (String) throws -> Value

    init(_ parse: @escaping (String) throws -> Value) {
        self.parse = parse
    }

    /// The value of a text; nil when the text is malformed.
    mutating func value(of text: UnsafeRawBufferPointer) -> Value? {
        let hash = Self.hash(text)
        if let entry = self.known[hash], entry.bytes.withUnsafeBytes({ $0.isEqual(to: text) }) { return entry.value }
        do {
            let value = try self.parse(String(decoding: text, as: UTF8.self))
            self.known[hash] = Entry(bytes: Array(text), value: value)
            return value
        } catch {
            return nil  // the line makes no sense, and is treated so
        }
    }

    /// FNV-1a, but eight bytes at a time; the last eight perhaps overlap.
    private static func hash(_ text: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var offset = 0
        guard text.count >= 8 else {
            for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            return hash
        }
        while true {
            hash = (hash ^ text.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x100_0000_01B3
            if offset == text.count - 8 { return hash }
            offset = min(offset + 8, text.count - 8)
        }
    }
}

/// What a journal's lines name many times: repositories, and types of manifests.
struct JournalNames {
    var repositories = InternedTexts { try QualifiedRepository(parsing: $0) }
    var mediaTypes = InternedTexts { try MediaType(parsing: $0) }
}
