import OCI
import Upstream

/// A configured registry: its name, its namespaces and how to ask it.
package final class UpstreamBinding: Sendable {
    /// The name used in logs, metrics and reports.
    package let name: String
    /// The namespace under which the store keeps what comes from here: the first that is configured.
    package let namespace: Namespace
    package let namespaces: [Namespace]
    /// How long a tag is believed without asking.
    package let cacheTtl: Duration
    package let client: RegistryClient

    package init(name: String, namespaces: [Namespace], cacheTtl: Duration, client: RegistryClient) {
        precondition(!namespaces.isEmpty, "an upstream has at least one namespace")
        self.name = name
        self.namespace = namespaces[0]
        self.namespaces = namespaces
        self.cacheTtl = cacheTtl
        self.client = client
    }

    /// Docker Hub, where `nginx` is `library/nginx`.
    package var isDockerHub: Bool { self.namespace.description == "docker.io" }

    package func repository(_ name: RepositoryName) -> QualifiedRepository {
        guard self.isDockerHub, !name.description.contains("/"), let library = Self.library,
            let prefixed = name.prefixed(by: library)
        else { return QualifiedRepository(namespace: self.namespace, name: name) }
        return QualifiedRepository(namespace: self.namespace, name: prefixed)
    }

    private static let library = try? RepositoryName(parsing: "library")  // a constant that parses
}

/// A repository and the registry that it comes from.
package struct RoutedRepository: Sendable {
    package let upstream: UpstreamBinding
    package let repository: QualifiedRepository

    package init(upstream: UpstreamBinding, repository: QualifiedRepository) {
        self.upstream = upstream
        self.repository = repository
    }
}

/// Which registry a name belongs to. Immutable: a reload makes a new one.
///
/// A namespace is a key into this table and nothing else; an unknown one is never dialled.
package final class UpstreamDirectory: Sendable {
    package let bindings: [UpstreamBinding]
    private let byNamespace: [Namespace: UpstreamBinding]
    private let fallback: UpstreamBinding?

    /// - Parameter fallback: the upstream for names without a namespace.
    package init(bindings: [UpstreamBinding], fallback: UpstreamBinding?) {
        self.bindings = bindings
        self.fallback = fallback
        var table: [Namespace: UpstreamBinding] = [:]
        for binding in bindings {
            for namespace in binding.namespaces where table[namespace] == nil { table[namespace] = binding }
        }
        self.byNamespace = table
    }

    /// Finds the registry for a name as a client wrote it.
    ///
    /// - Parameters:
    ///   - path: the name in the request's path, which may begin with a namespace.
    ///   - ns: containerd's `ns` parameter; with it, the path is literal.
    /// - Throws: `ReferenceError` for a malformed name, `PullThroughError.notFound(.nameUnknown)` for a registry that is
    ///   not configured.
    package func route(_ path: Substring, ns: Namespace?) throws -> RoutedRepository {
        if let ns {
            let name = try RepositoryName(parsing: path)
            guard let binding = self.byNamespace[ns] else { throw Self.unknown(ns.description) }
            return RoutedRepository(upstream: binding, repository: binding.repository(name))
        }
        if let slash = path.firstIndex(of: "/"), Namespace.looksLikeHost(path[..<slash]) {
            let first = path[..<slash]
            if let namespace = try? Namespace(parsing: first),  // what is no namespace may still be a name
                let binding = self.byNamespace[namespace]
            {
                let name = try RepositoryName(parsing: path[path.index(after: slash)...])
                return RoutedRepository(upstream: binding, repository: binding.repository(name))
            }
            // Sent on, it would tell Docker Hub the names of somebody's private registry.
            if self.fallback?.isDockerHub ?? true { throw Self.unknown(String(first)) }
        }
        let name = try RepositoryName(parsing: path)
        guard let fallback = self.fallback else { throw Self.unknown("a name without a registry") }
        return RoutedRepository(upstream: fallback, repository: fallback.repository(name))
    }

    func binding(_ namespace: Namespace) -> UpstreamBinding? { self.byNamespace[namespace] }

    func isFallback(_ namespace: Namespace) -> Bool { self.fallback?.namespace == namespace }

    private static func unknown(_ what: String) -> PullThroughError {
        PullThroughError(.notFound(.nameUnknown), "\(what.prefix(160)) is not among the configured registries")
    }
}
