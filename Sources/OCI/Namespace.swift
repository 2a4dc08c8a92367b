/// A registry as image references name it: `docker.io`, `ghcr.io`, `registry.local:5000`, `localhost`.
///
/// It is a key into the configuration, never an address to dial. To be told from the first component of a
/// repository name it holds a `.` or a `:`, or is `localhost`.
package struct Namespace: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        guard Self.isWellFormed(Array(text.utf8)), Self.looksLikeHost(text) else {
            throw ReferenceError(.invalidNamespace, String(text.prefix(256)))
        }
        self.description = String(text)
    }

    /// Whether a first path component can only be meant as a host: repository names have no `:`, and by
    /// convention a first component with a dot names a registry.
    package static func looksLikeHost(_ component: some StringProtocol) -> Bool {
        component == "localhost" || component.utf8.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
    }

    private static func isWellFormed(_ text: [UInt8]) -> Bool {
        guard (1...255).contains(text.count) else { return false }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count <= 2, let host = parts.first else { return false }
        if parts.count == 2 {
            guard (1...5).contains(parts[1].count), parts[1].allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
        }
        let labels = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
                return false
            }
            return label.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
            }
        }
    }
}

/// A repository of a particular registry: what a name in the store means.
package struct QualifiedRepository: Hashable, Sendable, CustomStringConvertible {
    package let namespace: Namespace
    package let name: RepositoryName
    /// Of both texts, made once: a start looks each repository up many times.
    private let code: Int

    package init(namespace: Namespace, name: RepositoryName) {
        self.namespace = namespace
        self.name = name
        self.code = Self.code(namespace, name)
    }

    private static func code(_ namespace: Namespace, _ name: RepositoryName) -> Int {
        var hasher = Hasher()
        hasher.combine(namespace)
        hasher.combine(name)
        return hasher.finalize()
    }

    /// Parses `docker.io/library/nginx`: the namespace is everything before the first slash.
    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        guard let slash = text.firstIndex(of: "/") else { throw ReferenceError(.invalidName, String(text)) }
        self.namespace = try Namespace(parsing: text[..<slash])
        self.name = try RepositoryName(parsing: text[text.index(after: slash)...])
        self.code = Self.code(self.namespace, self.name)
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }

    package static func == (left: QualifiedRepository, right: QualifiedRepository) -> Bool {
        left.code == right.code && left.name == right.name && left.namespace == right.namespace
    }

    /// A few well-mixed bits, equal for equal repositories, for choosing one of many shards.
    package var shardHint: Int { self.code & 0xFF }

    package var description: String { "\(self.namespace)/\(self.name)" }
}
