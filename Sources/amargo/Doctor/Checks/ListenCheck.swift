import Foundation
import Glibc

/// The addresses to listen on: free, held by Amargo, or by somebody else; and who can reach them.
struct ListenCheck: BlockingCheck {
    let id = "server.listen"
    let settings: Settings
    let user: HostUser
    /// What listens on this machine now.
    var holders: @Sendable () -> [PortHolder] = { PortHolder.all() }
    /// The addresses of this machine, in network order.
    var own: @Sendable () -> Set<[UInt8]> = { NetworkInterface.all().reduce(into: []) { $0.insert($1.address) } }
    var lowestPort: Int = ListenCheck.lowestPort()

    func look() -> [Diagnosis] {
        let holders = self.holders()
        return self.settings.listen.compactMap { ListenAddress($0) }.map { self.judge($0, holders) } + self.exposure
    }

    private var place: String {
        self.settings.origins["server.listen"].map { "server.listen (\($0))" } ?? "server.listen, or serve --listen HOST:PORT"
    }

    private func judge(_ address: ListenAddress, _ holders: [PortHolder]) -> Diagnosis {
        guard let bytes = address.bytes else {
            return Diagnosis(
                self.id, of: address.text, .problem, "its host cannot be resolved",
                "Name an address of this host in \(self.place).")
        }
        if address.port == 0 {
            return Diagnosis(
                self.id, of: address.text, .warning, "the port is another one at each start",
                "Engines need one that stays: name it in \(self.place).")
        }
        if let holder = holders.first(where: { $0.port == address.port && $0.blocks(bytes) }) {
            return self.judge(address, holder)
        }
        if !address.isEverywhere, !address.isLoopback, !self.own().contains(bytes) {
            return Diagnosis(
                self.id, of: address.text, .problem, "this host has no such address",
                "Name one of its own in \(self.place); ip addr shows them.")
        }
        if address.port < self.lowestPort, self.user.id != 0 {
            return Diagnosis(
                self.id, of: address.text, .warning,
                "ports below \(self.lowestPort) need a privilege that the user \(self.user.name) may lack",
                "Choose another in \(self.place), or give the service AmbientCapabilities=CAP_NET_BIND_SERVICE.")
        }
        return Diagnosis(self.id, of: address.text, .note, "nobody listens there", "To serve: amargo serve")
    }

    private func judge(_ address: ListenAddress, _ holder: PortHolder) -> Diagnosis {
        guard let process = holder.process() else {
            return Diagnosis(
                self.id, of: address.text, .note, "is held by a process of the user \(HostUser(id: holder.user).name)",
                "Whether that is Amargo is seen below; as root this says which process it is.")
        }
        if process.name == "amargo" { return Diagnosis(self.id, of: address.text, .ok, "is held by \(process.description)") }
        return Diagnosis(
            self.id, of: address.text, .problem, "is held by \(process.description.harmless), which is not Amargo",
            "Stop it, or choose another address in \(self.place).")
    }

    /// Who besides this host gets what is stored, and what `/health` tells.
    private var exposure: [Diagnosis] {
        let open = self.settings.listen.compactMap { ListenAddress($0) }.filter { !$0.isLoopback }
        guard !open.isEmpty else { return [Diagnosis("server.access", .ok, "this host alone is served")] }
        let addresses = open.map(\.text).joined(separator: ", ")
        let secrets = self.settings.repositories.filter(\.connection.isPrivate).map(\.name)
        if !secrets.isEmpty {
            return [
                Diagnosis(
                    "server.access", .warning,
                    "whoever reaches \(addresses) gets what \(secrets.joined(separator: ", ")) gives to your credentials",
                    "Keep strangers out with a firewall, or listen on 127.0.0.1 alone: \(self.place).")
            ]
        }
        if self.settings.operations == .all {
            return [
                Diagnosis(
                    "server.access", .warning,
                    "whoever reaches \(addresses) sees the names of all that is pulled (operations: all)",
                    "Set operations: loopback"
                        + (self.settings.origins["server.operations"].map { " (\($0))" } ?? " in server")
                        + ", or keep strangers out.")
            ]
        }
        return [
            Diagnosis(
                "server.access", .note, "everybody who reaches \(addresses) can pull through this server",
                "Amargo asks nobody who they are: a firewall decides who gets there.")
        ]
    }

    /// The lowest port that everybody may take: ip(7), ip_unprivileged_port_start.
    static func lowestPort() -> Int {
        let text = try? Machine().text("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 1024
    }
}

/// An address of this machine, and what it hangs on: getifaddrs(3).
struct NetworkInterface: Equatable, Sendable {
    let name: String
    /// In network order.
    let address: [UInt8]

    var isBridge: Bool { ["docker", "podman", "cni", "br-", "virbr", "lxcbr", "lxdbr"].contains { self.name.hasPrefix($0) } }

    /// For people and configurations, IPv4 alone.
    var text: String? { self.address.count == 4 ? self.address.map(String.init).joined(separator: ".") : nil }

    static func all() -> [NetworkInterface] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: [NetworkInterface] = []
        var next = first
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr else { continue }
            let name = String(cString: entry.pointee.ifa_name)
            let base = UnsafeRawPointer(address)
            switch CInt(address.pointee.sa_family) {
            case AF_INET:
                found.append(NetworkInterface(name: name, address: Array(UnsafeRawBufferPointer(start: base + 4, count: 4))))
            case AF_INET6:
                found.append(NetworkInterface(name: name, address: Array(UnsafeRawBufferPointer(start: base + 8, count: 16))))
            default: break
            }
        }
        return found
    }
}
