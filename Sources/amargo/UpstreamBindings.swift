import Logging
import NIOCore
import PullThrough
import Upstream

/// The registries that are configured, ready to be asked: for a server, and for a command that asks them itself.
struct UpstreamBindings {
    let all: [UpstreamBinding]
    /// Whose names need no registry in front.
    let fallback: UpstreamBinding?

    /// - Parameters:
    ///   - prepared: how each registry is asked, by its name in the configuration.
    ///   - connections: to one host of a registry, at most.
    init(
        _ settings: Settings, _ prepared: [String: UpstreamConfiguration], group: any EventLoopGroup, connections: Int,
        isOffline: Bool = false, logger: Logger
    ) {
        let all = settings.repositories.map { repository in
            var configuration =
                prepared[repository.name] ?? UpstreamConfiguration(name: repository.name, address: repository.upstream)
            configuration.connectionLimit = min(connections, repository.connection.connections ?? Int.max)
            return UpstreamBinding(
                name: repository.name, namespaces: repository.namespaces, cacheTtl: .seconds(repository.cacheTtl),
                access: repository.connection.access,
                client: RegistryClient(configuration, group: group, logger: logger),
                stalePolicy: repository.connection.stalePolicy, finishAbandoned: repository.connection.finishAbandoned,
                isPrivate: repository.connection.isPrivate, isOffline: isOffline)
        }
        self.all = all
        self.fallback = settings.repositories.first(where: \.isDefault).flatMap { chosen in
            all.first { $0.name == chosen.name }
        }
    }

    var directory: UpstreamDirectory { UpstreamDirectory(bindings: self.all, fallback: self.fallback) }

    /// Closes every connection.
    func shutdown() async { for binding in self.all { await binding.client.shutdown() } }
}
