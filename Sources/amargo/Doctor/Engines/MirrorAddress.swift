import Foundation
import Glibc
import NIOCore

/// Tells whether an address in an engine's configuration is this server.
struct MirrorAddress: Sendable {
    enum Meaning: Equatable {
        case ours
        /// This host, but an address or a port where Amargo does not listen.
        case elsewhere
        /// Ours, but by https, which is not spoken here.
        case secure
        case stranger
    }

    let listen: [ListenAddress]
    /// The addresses of this machine, in network order.
    let own: Set<[UInt8]>
    let hostName: String

    init(_ settings: Settings, own: Set<[UInt8]>? = nil, hostName: String? = nil) {
        self.listen = settings.listen.compactMap { ListenAddress($0) }
        self.own = own ?? NetworkInterface.all().reduce(into: []) { $0.insert($1.address) }
        self.hostName = (hostName ?? ProcessInfo.processInfo.hostName).lowercased()
    }

    /// What clients of this machine call it.
    var suggestion: String {
        guard let first = self.listen.first else { return "127.0.0.1:3000" }
        guard first.isEverywhere else { return first.text }
        return "127.0.0.1:\(first.port)"
    }

    /// Whether other hosts are served, too.
    var servesOthers: Bool { self.listen.contains { !$0.isLoopback } }

    /// - Parameter text: `http://host:port/…`, or without a scheme. Names are resolved. Blocks.
    func meaning(of text: String) -> Meaning {
        var rest = Substring(text)
        let isSecure = rest.hasPrefix("https://")
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        let authority = String(rest.prefix { $0 != "/" })
        guard !authority.isEmpty else { return .stranger }
        guard let address = ListenAddress(authority) ?? ListenAddress("\(authority):\(isSecure ? 443 : 80)") else {
            return .stranger
        }
        guard self.isHere(address) else { return .stranger }
        let isListened = self.listen.contains { $0.port == address.port && self.takes($0, address) }
        guard isListened else { return .elsewhere }
        return isSecure ? .secure : .ours
    }

    private func isHere(_ address: ListenAddress) -> Bool {
        let host = address.host.lowercased()
        if address.isLoopback || host == self.hostName || address.isEverywhere { return true }
        let isNumber = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        // A name on another port is hardly ours, and no reason to wait for a name server.
        guard isNumber || self.listen.contains(where: { $0.port == address.port }) else { return false }
        return address.bytes.map { self.own.contains($0) } ?? false
    }

    /// Whether who listens there hears what is sent here.
    private func takes(_ listen: ListenAddress, _ address: ListenAddress) -> Bool {
        if listen.isEverywhere { return true }
        if listen.isLoopback { return address.isLoopback }
        return listen.bytes == address.bytes || listen.host == address.host
    }
}
