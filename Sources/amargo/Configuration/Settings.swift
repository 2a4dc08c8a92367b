import ArgumentParser
import Logging
import OCI
import Registry
import Storage
import Upstream

/// Everything that can be configured, with where it came from.
struct Settings {
    struct Repository: Equatable {
        /// The name used in logs, metrics and reports.
        var name: String
        var upstream: UpstreamAddress
        var namespaces: [Namespace]
        var isDefault: Bool
        /// Seconds for which a tag is believed without asking.
        var cacheTtl: Int64
        /// Cap in bytes of what is stored from here; 0 is none.
        var maxSize: Int64
        /// Seconds after its last pull for which an image is kept; 0 is for ever, nil is what `cache.retainFor` says.
        var retainFor: Int64?
        var connection = UpstreamSettings()
    }

    enum LogFormat: String, CaseIterable {
        case text, json
    }

    var listen = ["127.0.0.1:3000"]
    var operations = RegistryConfiguration.Reach.loopback
    var storePath: String
    var maxSize: Int64 = 0
    var minFree: Int64 = 1_000_000_000
    /// Seconds after its last pull for which an image is kept; 0 is for ever.
    var retainFor: Int64 = 0
    var repositories: [Repository]
    /// A folder from which bundles are taken in; none when nil.
    var watchedFolder: String?
    var logLevel = Logger.Level.info
    var logFormat = LogFormat.text
    /// Where each key that is not a default came from: `store.path` → "line 4 of FILE".
    var origins: [String: String] = [:]

    static let defaultTtl: Int64 = 1800

    /// The registries that are there without being configured: the public ones that images are commonly named after.
    static func builtInRepositories() throws -> [Repository] {
        let known: [(name: String, address: String, namespaces: [String])] = [
            ("docker", "https://registry-1.docker.io", ["docker.io", "index.docker.io", "registry-1.docker.io"]),
            ("ghcr", "https://ghcr.io", ["ghcr.io"]),
            ("quay", "https://quay.io", ["quay.io"]),
            ("kubernetes", "https://registry.k8s.io", ["registry.k8s.io"]),
            ("gcr", "https://gcr.io", ["gcr.io"]),
            ("mcr", "https://mcr.microsoft.com", ["mcr.microsoft.com"]),
            ("ecr-public", "https://public.ecr.aws", ["public.ecr.aws"]),
        ]
        return try known.map { name, text, namespaces in
            guard let address = UpstreamAddress(text) else { throw SettingsError("the built-in address \(text) does not parse") }
            return Repository(
                name: name, upstream: address, namespaces: try namespaces.map { try Namespace(parsing: $0) },
                isDefault: name == "docker", cacheTtl: Self.defaultTtl, maxSize: 0)
        }
    }

    /// How each registry is asked, by its name. Reads passwords and certificates.
    func upstreams(environment: [String: String]) throws -> [String: UpstreamConfiguration] {
        var upstreams: [String: UpstreamConfiguration] = [:]
        for repository in self.repositories {
            upstreams[repository.name] = try repository.connection.configuration(
                repository.name, repository.upstream, environment: environment)
        }
        return upstreams
    }

    /// What the store is told of all this.
    var storeConfiguration: StoreConfiguration {
        var shares: [Namespace: Int64] = [:]
        var retention: [Namespace: Int64] = [:]
        for repository in self.repositories {
            if repository.maxSize > 0 { shares[repository.namespaces[0]] = repository.maxSize }
            let seconds = repository.retainFor ?? self.retainFor
            if seconds > 0 { retention[repository.namespaces[0]] = seconds }
        }
        return StoreConfiguration(
            folder: self.storePath, maxSize: self.maxSize, minFree: self.minFree, shares: shares, retention: retention)
    }

    /// The repository and the name by which the store knows what somebody wrote.
    ///
    /// - Throws: `ValidationError` for a name that is malformed, `SettingsError` for one without a registry when none is the default.
    func image(_ text: String) throws -> (repository: QualifiedRepository, reference: Reference?) {
        let image: ImageReference
        do {
            image = try ImageReference(parsing: text)
        } catch {
            throw ValidationError("\(error)")
        }
        guard let namespace = image.namespace else {
            guard let fallback = self.repositories.first(where: \.isDefault) else {
                throw SettingsError("\(text) does not say a registry, and none is the default; write REGISTRY/\(text)")
            }
            return (Self.qualified(image.name, fallback.namespaces[0]), image.reference)
        }
        // An alias stands for the registry's first name; what is stored of a registry that is no longer configured has its own.
        let owner = self.repositories.first { $0.namespaces.contains(namespace) }
        return (Self.qualified(image.name, owner?.namespaces[0] ?? namespace), image.reference)
    }

    /// Docker Hub's `nginx` is `library/nginx`.
    private static func qualified(_ name: RepositoryName, _ namespace: Namespace) -> QualifiedRepository {
        guard namespace.description == "docker.io", !name.description.contains("/"),
            let library = try? RepositoryName(parsing: "library"),  // a constant that parses
            let full = name.prefixed(by: library)
        else { return QualifiedRepository(namespace: namespace, name: name) }
        return QualifiedRepository(namespace: namespace, name: full)
    }

    init(storePath: String) throws {
        self.storePath = storePath
        self.repositories = try Self.builtInRepositories()
    }
}

/// Why a configuration cannot be used; one sentence that names the place and the way out.
struct SettingsError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
