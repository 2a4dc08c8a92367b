import NIOCore

/// Who a client is, as far as limits go: an IPv4 address, or the /64 that an IPv6 address is of, all of which one host can use.
enum ClientAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(prefix: UInt64)
    /// A local socket, or an address that the kernel does not tell.
    case other

    init(_ address: SocketAddress?) {
        switch address {
        case .v4(let address): self = .v4(UInt32(bigEndian: address.address.sin_addr.s_addr))
        case .v6(let address): self = withUnsafeBytes(of: address.address.sin6_addr) { Self($0) }
        case .unixDomainSocket, nil: self = .other
        }
    }

    /// An IPv6 address in network order; one that maps an IPv4 address is that (RFC 4291, 2.5.5.2).
    init(_ bytes: UnsafeRawBufferPointer) {
        let value = bytes.prefix(16).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        if value >> 32 == 0xFFFF {
            self = .v4(UInt32(truncatingIfNeeded: value))
        } else {
            self = .v6(prefix: UInt64(truncatingIfNeeded: value >> 64))
        }
    }
}

extension SocketAddress {
    var isLoopback: Bool {
        switch self {
        case .v4: self.ipAddress?.hasPrefix("127.") ?? false
        case .v6: self.ipAddress == "::1" || self.ipAddress?.hasPrefix("::ffff:127.") == true
        case .unixDomainSocket: true
        }
    }
}
