/// A mutable name of a manifest in one repository.
package struct Tag: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`: distribution spec, "Pulling manifests".
    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        let bytes = text.utf8
        guard (1...128).contains(bytes.count), bytes.allSatisfy(\.isTagByte), text.first != ".", text.first != "-" else {
            throw ReferenceError(.invalidTag, String(text.prefix(160)))
        }
        self.description = String(text)
    }
}

/// What a manifest is asked by: a tag, or the digest of its bytes.
package enum Reference: Hashable, Sendable, CustomStringConvertible {
    case tag(Tag)
    case digest(Digest)

    /// A text with a colon can only be meant as a digest, since a tag has none.
    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            self = .digest(try Digest(parsing: text))
        } else {
            self = .tag(try Tag(parsing: text))
        }
    }

    package var description: String {
        switch self {
        case .tag(let tag): tag.description
        case .digest(let digest): digest.description
        }
    }
}

extension UInt8 {
    fileprivate var isTagByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
