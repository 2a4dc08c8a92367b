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
    }

    enum LogFormat: String, CaseIterable {
        case text, json
    }

    var listen = ["127.0.0.1:3000"]
    var operations = RegistryConfiguration.Reach.loopback
    var storePath: String
    var maxSize: Int64 = 0
    var minFree: Int64 = 1_000_000_000
    var repositories: [Repository]
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
