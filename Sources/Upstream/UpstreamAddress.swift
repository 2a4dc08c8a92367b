import OCI

/// Where a registry is: `https://registry-1.docker.io`, `http://127.0.0.1:5000`, `https://example.com/artifactory`.
///
/// A path stands before `/v2`, as engines have it; one that has `/v2` in it is used as written, and repositories follow:
/// `https://harbor.example.com/v2/proxy` asks for `/v2/proxy/library/nginx/…`.
package struct UpstreamAddress: Sendable, Hashable, CustomStringConvertible {
    package let isSecure: Bool
    package let host: String
    /// Nil is the scheme's own port.
    package let port: Int?
    /// Empty, or with a slash at its beginning and none at its end.
    package let path: String

    /// Parses `http(s)://host[:port][/path]`, with at most a slash behind it.
    package init?(_ text: String) {
        let rest: Substring
        if text.hasPrefix("https://") {
            self.isSecure = true
            rest = text.dropFirst(8)
        } else if text.hasPrefix("http://") {
            self.isSecure = false
            rest = text.dropFirst(7)
        } else {
            return nil
        }
        let authority = rest.prefix { $0 != "/" }
        guard let path = Self.path(rest.dropFirst(authority.count)) else { return nil }
        self.path = path
        let allowed = authority.utf8.allSatisfy { byte in
            Self.isUnreserved(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]")
        }
        guard allowed, !authority.isEmpty, !authority.contains("~") else { return nil }
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            let digits = authority[authority.index(after: colon)...]
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits), (1...65_535).contains(port)
            else {
                return nil
            }
            self.port = port
            self.host = authority[..<colon].lowercased()
        } else {
            self.port = nil
            self.host = authority.lowercased()
        }
        // Brackets are for IPv6 addresses, all of which have colons: RFC 3986, 3.2.2.
        let literal = self.host.dropFirst().dropLast()
        let isWellFormed =
            self.host.hasPrefix("[")
            ? self.host.hasSuffix("]") && literal.contains(":") && !literal.contains { "[]".contains($0) }
            : !self.host.isEmpty && !self.host.contains { "[]:".contains($0) }
        guard isWellFormed else { return nil }
    }

    private static func path(_ text: Substring) -> String? {
        let trimmed = text.hasSuffix("/") ? text.dropLast() : text
        guard !trimmed.isEmpty else { return "" }
        let components = trimmed.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        let isWellFormed = components.allSatisfy { component in
            !component.isEmpty && component != "." && component != ".." && component.utf8.allSatisfy(Self.isUnreserved)
        }
        return isWellFormed ? String(trimmed) : nil
    }

    /// RFC 3986, 2.3: what means the same encoded and not.
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// `host`, with the port when it is not the scheme's own.
    package var authority: String { self.port.map { "\(self.host):\($0)" } ?? self.host }

    package var description: String { "\(self.isSecure ? "https" : "http")://\(self.authority)\(self.path)" }

    /// Whether another address has the same host and port.
    package func isSamePlace(as other: UpstreamAddress) -> Bool {
        self.host == other.host && self.effectivePort == other.effectivePort
    }

    /// Whether a secret for this address may be told to another: the same place, and not less protected.
    package func maySecretsGo(to other: UpstreamAddress) -> Bool {
        self.isSamePlace(as: other) && (other.isSecure || !self.isSecure)
    }

    private var effectivePort: Int { self.port ?? (self.isSecure ? 443 : 80) }

    /// What stands between `/v2/` and a repository's name: empty, or with a slash at its end.
    private var namePrefix: String {
        guard let components = self.componentsBehindVersion, !components.isEmpty else { return "" }
        return components.joined(separator: "/") + "/"
    }

    private var componentsBehindVersion: ArraySlice<Substring>? {
        let components = self.path.split(separator: "/")
        return components.firstIndex(of: "v2").map { components[($0 + 1)...] }
    }

    /// The name by which this registry knows a repository; what a token's scope says.
    func name(of repository: RepositoryName) -> String { "\(self.namePrefix)\(repository)" }

    /// The address of something below a repository, without a query.
    func url(of repository: RepositoryName, _ rest: String) -> String {
        "\(self)\(self.componentsBehindVersion == nil ? "/v2" : "")/\(repository)/\(rest)"
    }
}
