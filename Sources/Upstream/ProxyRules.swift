import NIOCore

/// Which proxy a request goes through: as `curl` and most others read `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
package struct ProxyRules: Sendable, Hashable {
    /// A proxy that is spoken to by plain HTTP, and asked for a tunnel (CONNECT) whatever goes through it.
    package struct Server: Sendable, Hashable, CustomStringConvertible {
        package let host: String
        package let port: Int
        let credential: Credential?

        /// Parses `http://[user:password@]host[:port][/]`; without a scheme as well.
        package init?(_ text: String) {
            var rest = Substring(text)
            if rest.hasPrefix("http://") {
                rest = rest.dropFirst(7)
            } else if rest.contains("://") {
                return nil
            }
            if rest.hasSuffix("/") { rest = rest.dropLast() }
            if let at = rest.lastIndex(of: "@") {
                let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard let user = Self.decoded(parts[0]), let password = Self.decoded(parts.count > 1 ? parts[1] : "") else {
                    return nil
                }
                self.credential = Credential(username: user, secret: .password(password))
                rest = rest[rest.index(after: at)...]
            } else {
                self.credential = nil
            }
            guard let address = UpstreamAddress("http://\(rest)"), address.path.isEmpty else { return nil }
            self.host = address.host.hasPrefix("[") ? String(address.host.dropFirst().dropLast()) : address.host
            self.port = address.port ?? 80
        }

        /// Percent-encoding undone: RFC 3986, 2.1.
        private static func decoded(_ text: Substring) -> String? {
            var bytes: [UInt8] = []
            var rest = text.utf8
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "%") else {
                    bytes.append(byte)
                    continue
                }
                guard rest.count >= 2, let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            }
            return String(validating: bytes, as: UTF8.self)
        }

        /// Without its credential.
        package var description: String { "http://\(self.host.contains(":") ? "[\(self.host)]" : self.host):\(self.port)" }
    }

    package var http: Server?
    package var https: Server?
    /// Hosts that are asked directly: `example.com` with all below it, `10.0.0.0/8`, `host:port`; `*` is all of them.
    package var exceptions: [String]

    package init(http: Server? = nil, https: Server? = nil, exceptions: [String] = []) {
        self.http = http
        self.https = https
        self.exceptions = exceptions
        self.sparesLoopback = false
    }

    /// - Throws: `MalformedProxy` for a variable that names no usable proxy.
    package init(environment: [String: String]) throws {
        func server(_ names: String...) throws -> Server? {
            for name in names {
                guard let text = environment[name], !text.isEmpty else { continue }
                guard let server = Server(text) else { throw MalformedProxy(variable: name) }
                return server
            }
            return nil
        }
        // HTTP_PROXY in capitals is read as well: this is no CGI program, whose clients could set it.
        let all = try server("all_proxy", "ALL_PROXY")
        self.http = try server("http_proxy", "HTTP_PROXY") ?? all
        self.https = try server("https_proxy", "HTTPS_PROXY") ?? all
        self.sparesLoopback = true
        let list = environment["no_proxy"].flatMap { $0.isEmpty ? nil : $0 } ?? environment["NO_PROXY"] ?? ""
        self.exceptions = list.split { $0 == "," || $0.isWhitespace }.map { $0.lowercased() }
    }

    package struct MalformedProxy: Error, CustomStringConvertible {
        let variable: String

        package var description: String {
            "\(self.variable) is no proxy that can be used: it must be http://[user:password@]host:port"
        }
    }

    /// Whether this machine is asked directly whatever `exceptions` say: right for a proxy of all the machine's programs, wrong for one
    /// that was chosen for a registry.
    private let sparesLoopback: Bool

    /// The proxy for a host and port; nil to go there directly.
    func server(for host: String, port: Int, isSecure: Bool) -> Server? {
        guard let server = isSecure ? self.https : self.http else { return nil }
        let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host.lowercased()
        let number = IPAddress(name)
        if self.sparesLoopback, name == "localhost" || number?.isLoopback == true { return nil }
        let isExcepted = self.exceptions.contains { Self.matches($0, name, number, port) }
        return isExcepted ? nil : server
    }

    private static func matches(_ pattern: String, _ name: String, _ number: IPAddress?, _ port: Int) -> Bool {
        if pattern == "*" { return true }
        if let number {
            let parts = pattern.split(separator: "/")
            if parts.count == 2, let network = IPAddress(String(parts[0])), let bits = Int(parts[1]) {
                return number.isIn(network, prefix: bits)
            }
            if let address = IPAddress(pattern) { return address == number }
        }
        var domain = Substring(pattern)
        if let colon = domain.lastIndex(of: ":"), let wanted = Int(domain[domain.index(after: colon)...]) {
            guard wanted == port else { return false }
            domain = domain[..<colon]
        }
        if domain.hasPrefix("*.") { domain = domain.dropFirst(1) }
        let bare = domain.hasPrefix(".") ? domain.dropFirst() : domain
        return !bare.isEmpty && (name == bare || name.hasSuffix(".\(bare)"))
    }
}

/// An IP address as bytes, to be compared with networks.
private struct IPAddress: Equatable {
    let bytes: [UInt8]

    init?(_ text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        switch address {
        case .v4(let address): self.bytes = withUnsafeBytes(of: address.address.sin_addr.s_addr) { Array($0) }
        case .v6(let address): self.bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
        case .unixDomainSocket: return nil
        }
    }

    var isLoopback: Bool {
        self.bytes.count == 4 ? self.bytes[0] == 127 : self.bytes.dropLast().allSatisfy { $0 == 0 } && self.bytes.last == 1
    }

    func isIn(_ network: IPAddress, prefix: Int) -> Bool {
        guard self.bytes.count == network.bytes.count, (0...self.bytes.count * 8).contains(prefix) else { return false }
        return zip(self.bytes, network.bytes).enumerated().allSatisfy { index, pair in
            let bits = min(max(prefix - index * 8, 0), 8)
            return (pair.0 ^ pair.1) >> UInt8(8 - bits) == 0 || bits == 0
        }
    }
}
