import ArgumentParser
import OCI

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
        lines.append(("  repositories:", nil))
        for repository in self.settings.repositories {
            lines.append(("    \(repository.name):", nil))
            lines.append(
                ("      maxSize: \(repository.maxSize)", self.origin("cache.repositories.\(repository.name).maxSize")))
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

    private func origin(_ key: String) -> String { self.settings.origins[key] ?? "default" }
}
