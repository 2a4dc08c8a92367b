import Foundation
import OCI
import PullThrough
import Upstream

/// How a registry is reached and convinced, as it is configured.
struct UpstreamSettings: Equatable {
    enum Credentials: Equatable {
        case password(Credential)
        case passwordFile(username: String, path: String)
        /// Docker's `config.json`.
        case docker(path: String)
    }

    enum Proxy: Equatable {
        /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
        case environment
        case none
        case server(ProxyRules.Server)
    }

    /// Asked before the registry itself.
    var mirrors: [UpstreamAddress] = []
    var credentials: Credentials?
    var authHosts: [String] = []
    var authorities: String?
    var certificate: String?
    var key: String?
    var proxy = Proxy.environment
    /// Seconds; nil is the usual.
    var connectTimeout: Int64?
    var answerTimeout: Int64?
    var stallTimeout: Int64?
    var connections: Int?
    var access = RepositoryAccess()
    /// For which failures a stored tag is served as it was last known.
    var stalePolicy = StalePolicy()
    /// Whether a download goes on to its end when its last client has left.
    var finishAbandoned = true
    /// Bytes a second; 0 is no limit.
    var bandwidthLimit: Int64 = 0

    /// Whether what can be had there is for those alone who have proved who they are.
    var isPrivate: Bool { self.credentials != nil || self.certificate != nil }

    /// The files that are read for it.
    var files: [String] {
        let credentials: String? =
            switch self.credentials {
            case nil, .password: nil
            case .passwordFile(_, let path), .docker(let path): path
            }
        return [credentials, self.authorities, self.certificate, self.key].compactMap { $0 }
    }

    /// Whether a registry is asked in just this way by other settings: what the cache makes of its answers is another matter.
    func isAsked(like other: UpstreamSettings) -> Bool {
        func asking(_ settings: UpstreamSettings) -> UpstreamSettings {
            var settings = settings
            settings.access = RepositoryAccess()
            settings.stalePolicy = StalePolicy()
            settings.finishAbandoned = true
            return settings
        }
        return asking(self) == asking(other)
    }

    /// What the client of a registry is told. Reads the files that it needs, while they can be read.
    ///
    /// - Throws: `SettingsError` that names the registry and the file.
    func configuration(
        _ name: String, _ address: UpstreamAddress, environment: [String: String]
    ) throws -> UpstreamConfiguration {
        var configuration = UpstreamConfiguration(name: name, address: address)
        configuration.mirrors = self.mirrors
        configuration.authHosts = Set(self.authHosts).union(Self.knownAuthHosts[address.host] ?? [])
        configuration.bandwidthLimit = self.bandwidthLimit
        if let seconds = self.connectTimeout { configuration.connectTimeout = .seconds(seconds) }
        if let seconds = self.answerTimeout { configuration.headTimeout = .seconds(seconds) }
        if let seconds = self.stallTimeout { configuration.stallTimeout = .seconds(seconds) }
        do {
            configuration.tls = try UpstreamTLS(
                authorities: self.authorities, certificate: self.certificate, key: self.key)
            configuration.credentials = try self.source(address, environment)
            switch self.proxy {
            case .environment: configuration.proxy = try ProxyRules(environment: environment)
            case .none: configuration.proxy = nil
            case .server(let server): configuration.proxy = ProxyRules(http: server, https: server)
            }
        } catch {
            throw SettingsError("repositories.\(name): \(error)")
        }
        return configuration
    }

    /// Where well-known registries have their tokens from.
    private static let knownAuthHosts = [
        "registry-1.docker.io": ["auth.docker.io"], "registry.gitlab.com": ["gitlab.com"], "nvcr.io": ["authn.nvidia.com"],
    ]

    private func source(_ address: UpstreamAddress, _ environment: [String: String]) throws -> (any CredentialSource)? {
        switch self.credentials {
        case nil: return nil
        case .password(let credential): return FixedCredential(credential, for: address)
        case .passwordFile(let username, let path):
            return RememberedCredential(PasswordFile(username: username, file: try WatchedFile(path), address: address))
        case .docker(let path):
            return RememberedCredential(
                DockerCredentials(
                    file: try WatchedFile(path), searchPath: environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"))
        }
    }
}
