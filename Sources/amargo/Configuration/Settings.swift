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

    /// Docker Hub as a registry, and the names under which images refer to it.
    static func dockerHub() throws -> Repository {
        guard let address = UpstreamAddress("https://registry-1.docker.io") else {
            throw SettingsError("the built-in address of Docker Hub does not parse")
        }
        return Repository(
            name: "docker", upstream: address,
            namespaces: try ["docker.io", "index.docker.io", "registry-1.docker.io"].map { try Namespace(parsing: $0) },
            isDefault: true, cacheTtl: Self.defaultTtl, maxSize: 0)
    }

    init(storePath: String) throws {
        self.storePath = storePath
        self.repositories = [try Self.dockerHub()]
    }
}

/// Why a configuration cannot be used; one sentence that names the place and the way out.
struct SettingsError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
