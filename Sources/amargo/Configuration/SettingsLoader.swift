import ArgumentParser
import Foundation
import Upstream

/// The options by which every command finds the same configuration and the same store.
struct StoreOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The configuration file. Else AMARGO_CONFIG, ~/.config/amargo/amargo.yaml or /etc/amargo/amargo.yaml.",
            valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "The store's folder. Else AMARGO_STORE, store.path of the configuration, or a folder for this user.",
            valueName: "folder"),
        completion: .directory)
    var store: String?
}

/// Finds the configuration and reads it: the same for every command.
struct SettingsLoader {
    let options: StoreOptions
    let environment: [String: String]

    init(_ options: StoreOptions, environment: [String: String] = ProcessInfo.processInfo.environment) {
        self.options = options
        self.environment = environment
    }

    /// The settings in force, and the file they come from; nil when there is none.
    func load() throws -> (settings: Settings, file: String?) {
        var settings = try Settings(storePath: self.defaultStore)
        let file = try self.findFile()
        if let file {
            let text = try ConfigurationText.read(file)
            try ConfigurationFile(path: file).apply(text, to: &settings)
        }
        try self.readCredentials(&settings)
        if let store = self.options.store {
            guard !store.isEmpty else { throw SettingsError("--store is empty; name a folder, or leave it out") }
            settings.storePath = store
            settings.origins["store.path"] = "--store"
        } else if let store = self.variable("AMARGO_STORE") {
            settings.storePath = store
            settings.origins["store.path"] = "AMARGO_STORE"
        }
        settings.storePath = self.absolute(settings.storePath)
        return (settings, file)
    }

    /// `AMARGO_NAME_USERNAME` and `AMARGO_NAME_PASSWORD` win over the file, so that secrets need not stand in it.
    private func readCredentials(_ settings: inout Settings) throws {
        for index in settings.repositories.indices {
            let name = settings.repositories[index].name
            let prefix = Self.variablePrefix(of: name)
            switch (self.variable("\(prefix)_USERNAME"), self.variable("\(prefix)_PASSWORD")) {
            case (nil, nil): continue
            case (let username?, let password?):
                settings.repositories[index].connection.credentials = .password(
                    Credential(username: username, secret: .password(password)))
                settings.origins["repositories.\(name).credentials"] = "\(prefix)_USERNAME and \(prefix)_PASSWORD"
            default: throw SettingsError("\(prefix)_USERNAME and \(prefix)_PASSWORD belong together, and only one of them is set")
            }
        }
    }

    /// What the variables of a registry begin with, by its name in the configuration.
    static func variablePrefix(of name: String) -> String {
        "AMARGO_" + name.uppercased().map { $0.isLetter || $0.isNumber ? String($0) : "_" }.joined()
    }

    private func findFile() throws -> String? {
        if let named = self.options.config ?? self.variable("AMARGO_CONFIG") {
            guard !named.isEmpty else { throw SettingsError("--config is empty; name a file, or leave it out") }
            return self.absolute(named)
        }
        return self.usualFiles.first { FileManager.default.fileExists(atPath: $0) }
    }

    /// Where a configuration is looked for that is not named, in this order.
    var usualFiles: [String] {
        // The service's alone: in its home helper programs write.
        if let folder = self.serviceFolder("CONFIGURATION_DIRECTORY") { return ["\(folder)/amargo.yaml"] }
        var files: [String] = []
        if let folder = self.variable("XDG_CONFIG_HOME") {
            files.append("\(folder)/amargo/amargo.yaml")
        } else if let home = self.variable("HOME") {
            files.append("\(home)/.config/amargo/amargo.yaml")
        }
        return files + ["/etc/amargo/amargo.yaml"]
    }

    /// For root the place of services; for everybody else a folder of their own.
    private var defaultStore: String {
        if let folder = self.serviceFolder("STATE_DIRECTORY") { return folder }
        if getuid() == 0 { return "/var/lib/amargo" }
        if let folder = self.variable("XDG_DATA_HOME") { return "\(folder)/amargo" }
        if let home = self.variable("HOME") { return "\(home)/.local/share/amargo" }
        return "/var/lib/amargo"
    }

    /// A folder that systemd has made for Amargo's own service, and not for one that runs a command of Amargo's: systemd.exec(5).
    private func serviceFolder(_ name: String) -> String? {
        self.variable(name)?.split(separator: ":").first { $0.hasPrefix("/") && $0.hasSuffix("/amargo") }.map(String.init)
    }

    private func variable(_ name: String) -> String? { self.environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    private func absolute(_ path: String) -> String {
        let expanded = path.hasPrefix("~/") ? (self.variable("HOME") ?? "~") + path.dropFirst() : path
        let full = expanded.hasPrefix("/") ? expanded : FileManager.default.currentDirectoryPath + "/" + expanded
        let parts = full.split(separator: "/").filter { $0 != "." }
        return "/" + parts.joined(separator: "/")
    }
}
