import OCI
import Synchronization
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
    /// Which of its repositories may be had here.
    package let access: RepositoryAccess
    package let client: RegistryClient
    /// When a stored tag is served although the upstream cannot confirm it.
    package let stalePolicy: StalePolicy
    /// Whether a download goes on to its end when nobody follows it any more.
    package let finishAbandoned: Bool
    /// Whether what comes from here is not for everybody, as with credentials: each repository's content is its own.
    package let isPrivate: Bool
    /// Whether this registry is never asked.
    package let isOffline: Bool
    package let caution: UpstreamCaution
    let denials = FailureMemory<RepositoryName>(limit: Limits.Memory.denials)
    let wrongContent: WrongContent
    let questions: FairGate
    private let trafficBox = AtomicLazyReference<UpstreamTraffic>()

    package init(
        name: String, namespaces: [Namespace], cacheTtl: Duration, access: RepositoryAccess = RepositoryAccess(),
        client: RegistryClient, stalePolicy: StalePolicy = StalePolicy(), finishAbandoned: Bool = true, isPrivate: Bool = false,
        isOffline: Bool = false, caution: UpstreamCaution = UpstreamCaution()
    ) {
        precondition(!namespaces.isEmpty, "an upstream has at least one namespace")
        self.name = name
        self.namespace = namespaces[0]
        self.namespaces = namespaces
        self.cacheTtl = cacheTtl
        self.access = access
        self.client = client
        self.stalePolicy = stalePolicy
        self.finishAbandoned = finishAbandoned
        self.isPrivate = isPrivate
        self.isOffline = isOffline
        self.caution = caution
        self.wrongContent = WrongContent(caution)
        self.questions = FairGate(limit: caution.questions)
    }

    /// Where its traffic is counted; nil while no cache uses it.
    package var traffic: UpstreamTraffic? { self.trafficBox.load() }

    /// Has its traffic counted there, from now on and for good.
    func count(in traffic: UpstreamTraffic) { _ = self.trafficBox.storeIfNil(traffic) }

    /// How long a tag is believed at present: longer while the registry grants few pulls more.
    package var tagLifetime: Duration { self.cacheTtl * self.client.status.stretch }

    /// Who may keep what is answered: any cache on the way, or the client alone.
    package var sharing: Sharing { self.isPrivate ? .caller : .everybody }

    /// As `Cache-Control` says it: RFC 9111, 5.2.2.
    package enum Sharing: String, Sendable {
        case everybody = "public"
        case caller = "private"
    }

    /// Docker Hub, where `nginx` is `library/nginx`.
    package var isDockerHub: Bool { self.namespace.description == "docker.io" }

    package func repository(_ name: RepositoryName) -> QualifiedRepository {
        guard self.isDockerHub, !name.description.contains("/"), let library = Self.library,
            let prefixed = name.prefixed(by: library)
        else { return QualifiedRepository(namespace: self.namespace, name: name) }
        return QualifiedRepository(namespace: self.namespace, name: prefixed)
    }

    /// Why a repository may not be had here; nil when it may.
    func refusal(of name: RepositoryName) -> String? {
        // On the way of every request.
        if self.access.isOpen { return nil }
        let parts = name.components
        let short = self.isDockerHub && parts.count == 2 && parts[0] == "library" ? try? RepositoryName(parsing: parts[1]) : nil
        return self.access.refusal(of: name, alias: short)
    }

    /// A repository that may be had here.
    func routed(_ name: RepositoryName) throws -> RoutedRepository {
        let repository = self.repository(name)
        if let reason = self.refusal(of: repository.name) { throw PullThroughError(.denied, reason) }
        return RoutedRepository(upstream: self, repository: repository)
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
            return try binding.routed(name)
        }
        if let slash = path.firstIndex(of: "/"), Namespace.looksLikeHost(path[..<slash]) {
            let first = path[..<slash]
            if let namespace = try? Namespace(parsing: first),  // what is no namespace may still be a name
                let binding = self.byNamespace[namespace]
            {
                let name = try RepositoryName(parsing: path[path.index(after: slash)...])
                return try binding.routed(name)
            }
            // Sent on, it would tell Docker Hub the names of somebody's private registry.
            if self.fallback?.isDockerHub ?? true { throw Self.unknown(String(first)) }
        }
        let name = try RepositoryName(parsing: path)
        guard let fallback = self.fallback else { throw Self.unknown("a name without a registry") }
        return try fallback.routed(name)
    }

    func binding(_ namespace: Namespace) -> UpstreamBinding? { self.byNamespace[namespace] }

    func isFallback(_ namespace: Namespace) -> Bool { self.fallback?.namespace == namespace }

    private static func unknown(_ what: String) -> PullThroughError {
        PullThroughError(.notFound(.nameUnknown), "\(what.prefix(160)) is not among the configured registries")
    }
}
