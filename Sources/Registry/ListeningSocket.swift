import Glibc
import NIOCore
import OCI
import Synchronization

/// An address that is bound, before there is anything to serve.
package final class ListeningSocket: Sendable {
    package let address: String
    /// The port, also when the kernel chose it.
    package let port: Int
    private let descriptor: Mutex<CInt>

    /// Binds `host:port`.
    ///
    /// - Throws: `ListenError`, a sentence that names the address and the way out.
    package init(binding address: String) throws {
        guard let (name, port) = Self.split(address) else {
            throw ListenError("\"\(address)\" is no address to listen on; write host:port, such as 127.0.0.1:3000 or [::1]:3000")
        }
        let host = name.isEmpty || name == "*" ? "0.0.0.0" : name
        let socketAddress: SocketAddress
        do {
            socketAddress = try SocketAddress.makeAddressResolvingHost(host, port: port)
        } catch {
            throw ListenError("cannot listen on \(address): the host \"\(host)\" cannot be resolved")
        }
        let family = socketAddress.protocol == .inet6 ? AF_INET6 : AF_INET
        let descriptor = socket(family, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw ListenError("cannot listen on \(address): \(String(cString: strerror(errno)))") }
        var one: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<CInt>.size))
        // Each address is listened on by itself: [::] beside 0.0.0.0, not instead of it.
        if family == AF_INET6 {
            setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &one, socklen_t(MemoryLayout<CInt>.size))
        }
        let result = socketAddress.withSockAddr { Glibc.bind(descriptor, $0, socklen_t($1)) }
        guard result == 0, Glibc.listen(descriptor, Limits.Server.backlog) == 0 else {
            let reason = errno
            close(descriptor)
            throw ListenError(Self.explain(reason, address))
        }
        self.port = Self.boundPort(of: descriptor) ?? port
        self.address = port == 0 ? "\(address.dropLast(1))\(self.port)" : address
        self.descriptor = Mutex(descriptor)
    }

    deinit {
        let descriptor = self.take()
        if descriptor >= 0 { close(descriptor) }
    }

    /// Hands the descriptor over; its new owner closes it.
    func take() -> CInt {
        self.descriptor.withLock { descriptor in
            defer { descriptor = -1 }
            return descriptor
        }
    }

    /// Whether a text has the form of an address to listen on.
    package static func isWellFormed(_ address: String) -> Bool { Self.split(address) != nil }

    private static func split(_ address: String) -> (host: String, port: Int)? {
        guard let colon = address.lastIndex(of: ":") else { return nil }
        let digits = address[address.index(after: colon)...]
        var host = String(address[..<colon])
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits), (0...65_535).contains(port) else {
            return nil
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") || host.contains("/") {
            return nil
        }
        return (host, port)
    }

    private static func boundPort(of descriptor: CInt) -> Int? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes -> Int? in
            guard let base = bytes.baseAddress,
                getsockname(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            // The port lies at the same place for both families, in network order.
            return Int(bytes[2]) << 8 | Int(bytes[3])
        }
    }

    private static func explain(_ reason: CInt, _ address: String) -> String {
        switch reason {
        case EADDRINUSE:
            "cannot listen on \(address): another program uses this address; stop it, or choose another with --listen"
        case EACCES:
            "cannot listen on \(address): ports below 1024 need a privilege; choose another with --listen"
        case EADDRNOTAVAIL:
            "cannot listen on \(address): this host has no such address"
        default:
            "cannot listen on \(address): \(String(cString: strerror(reason)))"
        }
    }
}

/// Why an address cannot be listened on.
package struct ListenError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
