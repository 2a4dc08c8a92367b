import ArgumentParser
import Foundation
import OCI
import PullThrough

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Look at the configuration.", subcommands: [Check.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the configuration and print what is in force and where each value came from.",
            discussion: "Exit code 0 when it can be used, 78 when not.")

        @OptionGroup var options: StoreOptions

        func run() async throws {
            do {
                let (settings, file) = try SettingsLoader(self.options).load()
                // Files and variables that the server would read are looked at as well.
                _ = try settings.upstreams(environment: ProcessInfo.processInfo.environment)
                print(file.map { "# from \($0)" } ?? "# no configuration file; built-in defaults")
                print(EffectiveConfiguration(settings: settings).text, terminator: "")
            } catch {
                throw Failure.report(error)
            }
        }
    }
}

/// The settings in force as the YAML that would say them, each with where it came from.
struct EffectiveConfiguration {
    let settings: Settings

    var text: String {
        var lines: [(String, String?)] = []
        lines.append(("server:", nil))
        lines.append(
            ("  listen: [\(self.settings.listen.map(JSONText.quoted).joined(separator: ", "))]", self.origin("server.listen")))
        lines.append(("  operations: \(self.settings.operations.rawValue)", self.origin("server.operations")))
        lines.append(("store:", nil))
        lines.append(("  path: \(JSONText.quoted(self.settings.storePath))", self.origin("store.path")))
        lines.append(("  maxSize: \(self.settings.maxSize)", self.origin("store.maxSize")))
        lines.append(("  minFree: \(self.settings.minFree)", self.origin("store.minFree")))
        lines.append(("cache:", nil))
        lines.append(("  retainFor: \(self.settings.retainFor)", self.origin("cache.retainFor")))
        lines.append(("  repositories:", nil))
        for repository in self.settings.repositories {
            let prefix = "cache.repositories.\(repository.name)"
            lines.append(("    \(repository.name):", nil))
            lines.append(("      maxSize: \(repository.maxSize)", self.origin("\(prefix).maxSize")))
            guard let retainFor = repository.retainFor else { continue }
            lines.append(("      retainFor: \(retainFor)", self.origin("\(prefix).retainFor")))
        }
        lines.append(("repositories:", nil))
        for repository in self.settings.repositories {
            let prefix = "repositories.\(repository.name)"
            lines.append(("  \(repository.name):", nil))
            lines.append(("    upstream: \(repository.upstream)", self.origin("\(prefix).upstream")))
            let namespaces = repository.namespaces.map { JSONText.quoted($0.description) }.joined(separator: ", ")
            lines.append(("    namespaces: [\(namespaces)]", self.origin("\(prefix).namespaces")))
            lines.append(("    default: \(repository.isDefault)", self.origin("\(prefix).default")))
            lines.append(("    cacheTtl: \(repository.cacheTtl)", self.origin("\(prefix).cacheTtl")))
            for (line, key) in Self.lines(repository.connection) {
                lines.append(("    \(line)", self.origin("\(prefix).\(key)")))
            }
        }
        if let folder = self.settings.watchedFolder {
            lines.append(("import:", nil))
            lines.append(("  watch: \(JSONText.quoted(folder))", self.origin("import.watch")))
        }
        lines.append(("log:", nil))
        lines.append(("  level: \(self.settings.logLevel.rawValue)", self.origin("log.level")))
        lines.append(("  format: \(self.settings.logFormat.rawValue)", self.origin("log.format")))
        let width = min(64, lines.lazy.filter { $0.1 != nil }.map(\.0.count).max() ?? 0)
        return lines.map { line, origin in
            guard let origin else { return line + "\n" }
            return line + String(repeating: " ", count: max(1, width + 2 - line.count)) + "# \(origin)\n"
        }.joined()
    }

    /// What is configured of a connection: usually nothing. Secrets are left out.
    static func lines(_ connection: UpstreamSettings) -> [(line: String, key: String)] {
        func list(_ texts: [String]) -> String { "[\(texts.map(JSONText.quoted).joined(separator: ", "))]" }
        var lines: [(String, String)] = []
        func add(_ key: String, _ value: String?) { if let value { lines.append(("\(key): \(value)", key)) } }
        if !connection.mirrors.isEmpty { add("mirrors", list(connection.mirrors.map(\.description))) }
        switch connection.credentials {
        case nil: break
        case .password(let credential):
            add("credentials", "{ username: \(JSONText.quoted(credential.username)), password: <redacted> }")
        case .passwordFile(let username, let path):
            add("credentials", "{ username: \(JSONText.quoted(username)), passwordFile: \(JSONText.quoted(path)) }")
        case .docker(let path): add("credentials", "{ dockerConfig: \(JSONText.quoted(path)) }")
        }
        if !connection.authHosts.isEmpty { add("authHosts", list(connection.authHosts)) }
        add("ca", connection.authorities.map(JSONText.quoted))
        add("certificate", connection.certificate.map(JSONText.quoted))
        add("key", connection.key.map(JSONText.quoted))
        switch connection.proxy {
        case .environment: break
        case .none: add("proxy", "none")
        case .server(let server): add("proxy", "\(server)")
        }
        add("connectTimeout", connection.connectTimeout.map(String.init))
        add("answerTimeout", connection.answerTimeout.map(String.init))
        add("stallTimeout", connection.stallTimeout.map(String.init))
        add("connections", connection.connections.map(String.init))
        if !connection.access.allowed.isEmpty { add("allow", list(connection.access.allowed.map(\.description))) }
        if !connection.access.denied.isEmpty { add("deny", list(connection.access.denied.map(\.description))) }
        if connection.stalePolicy != StalePolicy() {
            add("staleOn", "[\(connection.stalePolicy.served.map(\.rawValue).sorted().joined(separator: ", "))]")
        }
        if !connection.finishAbandoned { add("finishAbandoned", "false") }
        if connection.bandwidthLimit > 0 { add("bandwidthLimit", "\(connection.bandwidthLimit)") }
        return lines
    }

    private func origin(_ key: String) -> String { self.settings.origins[key] ?? "default" }
}
