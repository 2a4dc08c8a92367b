import OCI
import Registry

/// This server as its clients see it: an address, and the registries that can be had there.
struct ClientServer: Equatable {
    struct Registry: Equatable {
        /// As image references name it.
        let namespace: Namespace
        /// The registry itself, for when the mirror cannot help.
        let address: String
        /// Whether names without a registry mean this one.
        let isDefault: Bool
        /// What stands for it in front of a repository's name, where no port is allowed; nil if it has no such name.
        let pathName: Namespace?

        var isDockerHub: Bool { self.namespace.description == "docker.io" }
    }

    /// `host:port`.
    let address: String
    /// Whether the address was said to be this one, rather than taken from where the server listens.
    let isChosen: Bool
    let registries: [Registry]

    var url: String { "http://\(self.address)" }

    var port: String { self.address.split(separator: ":").last.map(String.init) ?? "" }

    /// Docker Hub, if it is mirrored here.
    var dockerHub: Registry? { self.registries.first(where: \.isDockerHub) }

    /// - Parameter host: what clients call this server, `host` or `host:port`; nil for the first address it listens on.
    /// - Throws: `SettingsError` when that is no host.
    init(_ settings: Settings, host: String?) throws {
        let listen = settings.listen.first ?? "127.0.0.1:3000"
        let port = listen.split(separator: ":").last.map(String.init) ?? "3000"
        if let host {
            self.address = try Self.address(host, port: port)
        } else {
            self.address = Self.isEverywhere(listen) ? "127.0.0.1:\(port)" : listen
        }
        guard self.address.split(separator: ":").last != "0" else {
            throw SettingsError("the port is another one at each start, since server.listen is \(listen): say --host HOST:PORT")
        }
        self.isChosen = host != nil
        self.registries = settings.repositories.flatMap { repository in
            let names = Self.names(of: repository)
            let pathName = names.first { !$0.hasPort }
            return names.map { namespace in
                Registry(
                    namespace: namespace, address: repository.upstream.description, isDefault: repository.isDefault,
                    pathName: namespace.hasPort ? pathName : namespace)
            }
        }
    }

    /// Whether an address to listen on stands for all of the host's.
    static func isEverywhere(_ listen: String) -> Bool {
        ["0.0.0.0:", "[::]:", "*:", ":"].contains { listen.hasPrefix($0) }
    }

    /// The names by which images are asked for: Docker Hub's further ones are only what some engines dial.
    private static func names(of repository: Settings.Repository) -> [Namespace] {
        guard repository.namespaces.contains(where: { $0.description == "docker.io" }) else { return repository.namespaces }
        return repository.namespaces.filter { !["index.docker.io", "registry-1.docker.io"].contains($0.description) }
    }

    /// The address that `--host` means.
    ///
    /// - Parameter port: the one that is meant when it names none.
    static func address(_ host: String, port: String) throws(SettingsError) -> String {
        // A bare IPv6 address is all colons; in an address it stands in brackets.
        let isBareIPv6 = !host.hasPrefix("[") && host.utf8.count { $0 == UInt8(ascii: ":") } > 1
        let name = isBareIPv6 ? "[\(host)]" : host
        let hasPort = name.hasPrefix("[") ? !name.hasSuffix("]") : name.contains(":")
        let address = hasPort ? name : "\(name):\(port)"
        guard ListeningSocket.isWellFormed(address), !Self.isEverywhere(address), Self.isPlain(address) else {
            throw SettingsError("--host must be host or host:port, such as cache.lan or 192.168.1.5:3000, not \"\(host)\"")
        }
        return address
    }

    /// Nothing but what names and addresses are made of: it goes into other programs' files, between quotes.
    private static func isPlain(_ address: String) -> Bool {
        let isIPv6 = address.hasPrefix("[")
        return address.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "."): true
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
            case UInt8(ascii: "["), UInt8(ascii: "]"): isIPv6
            case UInt8(ascii: "g")...UInt8(ascii: "z"), UInt8(ascii: "G")...UInt8(ascii: "Z"), UInt8(ascii: "-"): !isIPv6
            default: false
            }
        }
    }
}

extension Namespace {
    /// Whether it names a port, which may stand in a registry's name but not inside a repository's.
    fileprivate var hasPort: Bool { self.description.contains(":") }
}
