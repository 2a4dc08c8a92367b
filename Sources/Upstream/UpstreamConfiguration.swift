import OCI

/// Where a registry is and how patiently it is asked.
package struct UpstreamConfiguration: Sendable, Hashable {
    /// The name used in logs, metrics and reports.
    package var name: String
    package var address: UpstreamAddress
    /// How long a connection may take to be made, TLS included.
    package var connectTimeout: Duration = .seconds(5)
    /// How long one request may wait for its response's head.
    package var headTimeout: Duration = .seconds(10)
    /// Everything before the answer's head: token, redirects and retries. Engines give up after 30 s.
    package var budget: Duration = .seconds(20)
    /// How long a body may stand still before its connection is given up.
    package var stallTimeout: Duration = .seconds(30)
    /// Connections to one host for blobs, and as many again for manifests and tokens.
    package var connectionLimit: Int = 512

    package init(name: String, address: UpstreamAddress) {
        self.name = name
        self.address = address
    }
}

/// A registry's scheme, host and port: `https://registry-1.docker.io`, `http://127.0.0.1:5000`.
package struct UpstreamAddress: Sendable, Hashable, CustomStringConvertible {
    package let isSecure: Bool
    package let host: String
    /// Nil is the scheme's own port.
    package let port: Int?

    /// Parses `http(s)://host[:port]`, with at most a slash behind it.
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
        let authority = rest.hasSuffix("/") ? rest.dropLast() : rest
        let allowed = authority.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard allowed, !authority.isEmpty else { return nil }
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            guard let port = Int(authority[authority.index(after: colon)...]), (1...65_535).contains(port) else { return nil }
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

    /// `host`, with the port when it is not the scheme's own.
    package var authority: String { self.port.map { "\(self.host):\($0)" } ?? self.host }

    package var description: String {
        "\(self.isSecure ? "https" : "http")://\(self.host)\(self.port.map { ":\($0)" } ?? "")"
    }
}
