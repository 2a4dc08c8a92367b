import Foundation
import Glibc
import NIOCore

/// Who listens on a TCP port of this machine, by /proc: proc_net_tcp(5).
struct PortHolder: Equatable, Sendable {
    /// Four or sixteen bytes, in network order.
    let address: [UInt8]
    let port: Int
    let user: uid_t
    let inode: UInt64

    /// The listening sockets of `/proc/net/tcp` or `/proc/net/tcp6`.
    static func listening(in table: String) -> [PortHolder] {
        table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            // sl, local_address, rem_address, st (0A listens), queues, timer, retransmissions, uid, timeout, inode
            guard fields.count > 9, fields[3] == "0A", let colon = fields[1].lastIndex(of: ":"),
                let port = Int(fields[1][fields[1].index(after: colon)...], radix: 16), let user = uid_t(fields[7]),
                let inode = UInt64(fields[9])
            else { return nil }
            guard let address = Self.bytes(fields[1][..<colon]) else { return nil }
            return PortHolder(address: address, port: port, user: user, inode: inode)
        }
    }

    /// Words of 32 bits in this machine's order, each in hexadecimal.
    private static func bytes(_ hex: Substring) -> [UInt8]? {
        guard hex.count == 8 || hex.count == 32 else { return nil }
        var bytes: [UInt8] = []
        var rest = hex
        while !rest.isEmpty {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            withUnsafeBytes(of: word) { bytes += Array($0) }
            rest = rest.dropFirst(8)
        }
        return bytes
    }

    static func all(on host: Machine = Machine()) -> [PortHolder] {
        ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { self.listening(in: (try? host.text($0)) ?? "") }  // no IPv6, no table
    }

    /// Whether it keeps somebody else from listening on an address.
    func blocks(_ other: [UInt8]) -> Bool {
        func isEverywhere(_ address: [UInt8]) -> Bool { address.allSatisfy { $0 == 0 } }
        // A socket on [::] usually takes IPv4 as well.
        if self.address.count != other.count { return isEverywhere(self.address) && self.address.count == 16 }
        return self.address == other || isEverywhere(self.address) || isEverywhere(other)
    }

    /// The process that has the socket; nil when it is another user's, whose files we may not see.
    func process(on host: Machine = Machine()) -> HostProcess? {
        let target = "socket:[\(self.inode)]"
        for pid in host.entries("/proc").compactMap({ Int32($0) }) {
            let folder = host.path("/proc/\(pid)/fd")
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []  // somebody else's, or gone
            for name in names {
                var buffer = [CChar](repeating: 0, count: 64)
                let count = readlink("\(folder)/\(name)", &buffer, buffer.count)
                guard count > 0 else { continue }
                if String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self) == target {
                    return HostProcess(pid, on: host)
                }
            }
        }
        return nil
    }
}

/// An address to listen on, taken apart.
struct ListenAddress: Equatable, Sendable {
    let text: String
    /// Without brackets; empty for all.
    let host: String
    let port: Int

    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        self.text = text
        self.host = host == "*" ? "" : host
        self.port = port
    }

    var isEverywhere: Bool { ["", "0.0.0.0", "::"].contains(self.host) }

    var isLoopback: Bool { self.host == "localhost" || self.host == "::1" || self.host.hasPrefix("127.") }

    /// In network order; a name is resolved. Blocks.
    var bytes: [UInt8]? {
        guard
            let address = try? SocketAddress.makeAddressResolvingHost(self.host.isEmpty ? "0.0.0.0" : self.host, port: self.port)
        else {
            return nil  // nobody can listen there either, which is what is said
        }
        switch address {
        case .v4(let address): return withUnsafeBytes(of: address.address.sin_addr.s_addr) { Array($0) }
        case .v6(let address): return withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
        case .unixDomainSocket: return nil
        }
    }

    /// Where a client of this machine reaches it.
    var connectHost: String { self.isEverywhere ? (self.host == "::" ? "::1" : "127.0.0.1") : self.host }
}
