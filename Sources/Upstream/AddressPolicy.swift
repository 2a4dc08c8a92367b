import NIOCore

/// Which addresses a public registry may lead to. A redirect or a token service that leads into the network of whoever runs this
/// program is an attack (server-side request forgery), unless the registry is in that network itself.
enum AddressPolicy {
    /// Whether an address is not one of the public internet: IANA's special-purpose registries, RFC 6890.
    static func isPrivate(_ address: SocketAddress) -> Bool {
        switch address {
        case .v4(let address):
            return withUnsafeBytes(of: address.address.sin_addr.s_addr) { self.isPrivate(v4: Array($0)) }
        case .v6(let address):
            return withUnsafeBytes(of: address.address.sin6_addr) { self.isPrivate(v6: Array($0)) }
        case .unixDomainSocket: return true
        }
    }

    static func isPrivate(v4 bytes: [UInt8]) -> Bool {
        switch (bytes[0], bytes[1], bytes[2]) {
        case (0, _, _), (10, _, _), (127, _, _), (169, 254, _), (192, 168, _), (192, 0, 0), (198, 18...19, _): true
        case (100, 64...127, _), (172, 16...31, _), (224..., _, _): true
        default: false
        }
    }

    static func isPrivate(v6 bytes: [UInt8]) -> Bool {
        let zeros = bytes.prefix { $0 == 0 }.count
        // IPv4 in an IPv6 address: mapped (::ffff:a.b.c.d), compatible (::a.b.c.d, with :: and ::1), NAT64 (64:ff9b::a.b.c.d) and
        // 6to4 (2002:a.b.c.d::).
        if zeros >= 12 || zeros == 10 && bytes[10] == 0xFF && bytes[11] == 0xFF {
            return zeros >= 12 || self.isPrivate(v4: Array(bytes[12...]))
        }
        if bytes.starts(with: [0x00, 0x64, 0xFF, 0x9B]) {
            return bytes[4..<12].contains { $0 != 0 } || self.isPrivate(v4: Array(bytes[12...]))
        }
        if bytes.starts(with: [0x20, 0x02]) { return self.isPrivate(v4: Array(bytes[2..<6])) }
        // Unique local (fc00::/7), link local (fe80::/10), the former site local (fec0::/10), multicast (ff00::/8).
        return bytes[0] & 0xFE == 0xFC || bytes[0] == 0xFE && bytes[1] & 0x80 != 0 || bytes[0] == 0xFF
    }

    /// Whether a host, as a URL has it, is certainly private: what a proxy would resolve for us is judged by this alone.
    static func isPrivate(host: String) -> Bool {
        let name = host.lowercased().drop { $0 == "[" }.prefix { $0 != "]" }
        let bare = name.hasSuffix(".") ? name.dropLast() : name
        if bare == "localhost" || bare.hasSuffix(".localhost") || bare.hasSuffix(".internal") || bare.hasSuffix(".local") {
            return true
        }
        if let address = try? SocketAddress(ipAddress: String(bare), port: 0) { return self.isPrivate(address) }
        // Whatever else consists of numbers alone is an IPv4 address in disguise: 2130706433, 0x7f.1, 017700000001.
        let last = bare.split(separator: ".").last ?? ""
        return !last.isEmpty && (last.allSatisfy(\.isNumber) || last.hasPrefix("0x"))
    }
}

/// A connection to an address that a public registry has no business to lead to.
struct ForbiddenAddress: Error {
    let address: String
}
