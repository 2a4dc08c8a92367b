import Logging
import NIOCore
import PullThrough
import Upstream

/// The registries that are configured, ready to be asked: for a server, and for a command that asks them itself.
struct UpstreamBindings {
    let all: [UpstreamBinding]
    /// Whose names need no registry in front.
    let fallback: UpstreamBinding?
    /// What they were made of.
    let repositories: [Settings.Repository]

    /// How clients are made, for whatever configuration.
    struct Asking: Sendable {
        let group: any EventLoopGroup
        /// Connections to one host of a registry, at most.
        let connections: Int
        var isOffline = false
        let logger: Logger
    }

    /// - Parameters:
    ///   - prepared: how each registry is asked, by its name in the configuration.
    ///   - old: what was in force. A binding of which nothing has changed is kept, and so is the client of a registry that is asked as
    ///     before: its connections and tokens, and what it remembers.
    init(
        _ settings: Settings, _ prepared: [String: UpstreamConfiguration], _ asking: Asking, keeping old: UpstreamBindings? = nil
    ) {
        let all = settings.repositories.map { repository in
            var configuration =
                prepared[repository.name] ?? UpstreamConfiguration(name: repository.name, address: repository.upstream)
            configuration.connectionLimit = min(asking.connections, repository.connection.connections ?? Int.max)
            let kept = old?.binding(asking: repository, with: configuration)
            if let kept, kept.repository.isBound(like: repository) { return kept.binding }
            return UpstreamBinding(
                name: repository.name, namespaces: repository.namespaces, cacheTtl: .seconds(repository.cacheTtl),
                access: repository.connection.access,
                client: kept?.binding.client ?? RegistryClient(configuration, group: asking.group, logger: asking.logger),
                stalePolicy: repository.connection.stalePolicy, finishAbandoned: repository.connection.finishAbandoned,
                isPrivate: repository.connection.isPrivate, isOffline: asking.isOffline)
        }
        self.all = all
        self.repositories = settings.repositories
        self.fallback = settings.repositories.first(where: \.isDefault).flatMap { chosen in
            all.first { $0.name == chosen.name }
        }
    }

    var directory: UpstreamDirectory { UpstreamDirectory(bindings: self.all, fallback: self.fallback) }

    /// The clients that others no longer have.
    func clients(besides others: UpstreamBindings) -> [RegistryClient] {
        self.all.map(\.client).filter { client in !others.all.contains { $0.client === client } }
    }

    /// Closes every connection.
    func shutdown() async { for binding in self.all { await binding.client.shutdown() } }

    private func binding(
        asking repository: Settings.Repository, with configuration: UpstreamConfiguration
    ) -> (binding: UpstreamBinding, repository: Settings.Repository)? {
        guard let index = self.repositories.firstIndex(where: { $0.name == repository.name }) else { return nil }
        let client = self.all[index].client
        guard self.repositories[index].isAsked(like: repository), client.configuration.tls == configuration.tls,
            client.configuration.proxy == configuration.proxy
        else { return nil }
        return (self.all[index], self.repositories[index])
    }
}

extension Settings.Repository {
    /// Whether a registry is asked in just the same way.
    func isAsked(like other: Self) -> Bool {
        self.name == other.name && self.upstream == other.upstream && self.connection.isAsked(like: other.connection)
    }

    /// Whether in addition the cache makes the same of what it answers.
    fileprivate func isBound(like other: Self) -> Bool {
        self.namespaces == other.namespaces && self.cacheTtl == other.cacheTtl && self.connection == other.connection
    }
}
