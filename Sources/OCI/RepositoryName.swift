/// A repository's name within its registry, such as `library/nginx`.
///
/// Source: distribution spec, "Pulling manifests":
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`, at most 255 characters.
package struct RepositoryName: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        guard (1...255).contains(text.utf8.count), Self.isWellFormed(text.utf8) else {
            throw ReferenceError(.invalidName, String(text.prefix(256)))
        }
        self.description = String(text)
    }

    private init(unchecked description: String) {
        self.description = description
    }

    package var components: [Substring] { self.description.split(separator: "/") }

    /// The name below another first component, for Docker Hub's `library/`; nil when that would be too long.
    package func prefixed(by component: RepositoryName) -> RepositoryName? {
        let text = "\(component)/\(self)"
        return text.utf8.count <= 255 ? RepositoryName(unchecked: text) : nil
    }

    private static func isWellFormed(_ text: some Collection<UInt8>) -> Bool {
        var previous = Kind.boundary
        var separator = 0
        for byte in text {
            let kind = Kind(byte)
            switch kind {
            case .alphanumeric:
                separator = 0
            case .boundary:
                guard previous == .alphanumeric else { return false }
            case .dot, .underscore, .dash:
                // One dot, one or two underscores, or any number of dashes, always between letters or digits.
                separator += 1
                let first = previous == .alphanumeric
                let longer = previous == kind && (kind == .dash || kind == .underscore && separator == 2)
                guard first || longer else { return false }
            case .other:
                return false
            }
            previous = kind
        }
        return previous == .alphanumeric
    }

    private enum Kind {
        case alphanumeric, dot, underscore, dash, boundary, other

        init(_ byte: UInt8) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): self = .alphanumeric
            case UInt8(ascii: "."): self = .dot
            case UInt8(ascii: "_"): self = .underscore
            case UInt8(ascii: "-"): self = .dash
            case UInt8(ascii: "/"): self = .boundary
            default: self = .other
            }
        }
    }
}
