import Logging
import OCI
import Registry
import Upstream
import Yams

/// Reads `amargo.yaml`. Every key is optional; one that is unknown, or of the wrong kind, is an error that says where.
struct ConfigurationFile {
    let path: String

    /// Puts what the file says over the settings.
    func apply(_ text: String, to settings: inout Settings) throws {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw SettingsError("\(self.path)\(Self.describe(error))")
        }
        guard let root, !Section.isNull(root) else { return }
        let document = try Section(root, "", self.path)
        try document.allow("server", "store", "cache", "repositories", "import", "log")
        try self.readServer(document, &settings)
        try self.readStore(document, &settings)
        try self.readRepositories(document, &settings)
        try self.readCache(document, &settings)
        try self.readImport(document, &settings)
        try self.readLog(document, &settings)
        Self.yieldBuiltIns(document, &settings)
        try Self.check(settings, in: self.path)
    }

    /// What the file gives to a repository of its own is no longer the built-in one's. One that loses the namespace it is
    /// known by goes, and its aliases, and being the default, go to the one that took it: a mirror of Docker Hub is one.
    private static func yieldBuiltIns(_ document: Section, _ settings: inout Settings) {
        let named = Set((try? document.section("repositories"))?.keys ?? [])  // read without error before
        let taken = Set(settings.repositories.filter { named.contains($0.name) }.flatMap(\.namespaces))
        for builtIn in settings.repositories where !named.contains(builtIn.name) {
            guard let index = settings.repositories.firstIndex(where: { $0.name == builtIn.name }) else { continue }
            let left = builtIn.namespaces.filter { !taken.contains($0) }
            guard taken.contains(builtIn.namespaces[0]) else {
                settings.repositories[index].namespaces = left
                continue
            }
            settings.repositories.remove(at: index)
            let heir = settings.repositories.firstIndex { $0.namespaces.contains(builtIn.namespaces[0]) }
            guard let heir else { continue }
            settings.repositories[heir].namespaces += left
            if builtIn.isDefault, !settings.repositories.contains(where: \.isDefault) {
                settings.repositories[heir].isDefault = true
            }
        }
    }

    /// Where and what is wrong, without the library's excerpt of the file: there may be a password in it.
    private static func describe(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return ", line \(mark.line): this is not valid YAML: \(problem)"
        case .reader(let problem, _, _, _): return " is not valid YAML: \(problem)"
        case .duplicatedKeysInMapping(let keys, _): return " is not valid YAML: \(keys.joined(separator: ", ")) stands twice"
        default: return " is not valid YAML"
        }
    }

    private func readServer(_ document: Section, _ settings: inout Settings) throws {
        guard let server = try document.section("server") else { return }
        try server.allow("listen", "operations")
        if let value = try server.strings("listen") {
            guard !value.isEmpty else { throw server.error("listen", "must name at least one address") }
            if let odd = value.first(where: { !ListeningSocket.isWellFormed($0) }) {
                throw server.error("listen", "must be host:port, such as 127.0.0.1:3000 or [::1]:3000, not \"\(odd)\"")
            }
            settings.listen = value
            settings.origins["server.listen"] = server.place("listen")
        }
        if let value = try server.string("operations") {
            guard let reach = RegistryConfiguration.Reach(rawValue: value) else {
                throw server.error("operations", "must be loopback or all, not \"\(value)\"")
            }
            settings.operations = reach
            settings.origins["server.operations"] = server.place("operations")
        }
    }

    private func readStore(_ document: Section, _ settings: inout Settings) throws {
        guard let store = try document.section("store") else { return }
        try store.allow("path", "maxSize", "minFree")
        if let value = try store.string("path") {
            guard !value.isEmpty else { throw store.error("path", "must name a folder") }
            settings.storePath = value
            settings.origins["store.path"] = store.place("path")
        }
        if let value = try store.bytes("maxSize") {
            settings.maxSize = value
            settings.origins["store.maxSize"] = store.place("maxSize")
        }
        if let value = try store.bytes("minFree") {
            settings.minFree = value
            settings.origins["store.minFree"] = store.place("minFree")
        }
    }

    private func readImport(_ document: Section, _ settings: inout Settings) throws {
        guard let section = try document.section("import") else { return }
        try section.allow("watch")
        guard let value = try section.string("watch") else { return }
        guard !value.isEmpty else { throw section.error("watch", "must name a folder") }
        settings.watchedFolder = section.resolved(value)
        settings.origins["import.watch"] = section.place("watch")
    }

    private func readRepositories(_ document: Section, _ settings: inout Settings) throws {
        guard let repositories = try document.section("repositories") else { return }
        for name in repositories.keys {
            if try repositories.isOff(name) {
                settings.repositories.removeAll { $0.name == name }
                continue
            }
            let existing = settings.repositories.firstIndex { $0.name == name }
            guard let section = try repositories.section(name) else {
                if existing != nil { continue }
                throw repositories.error(name, Self.needsUpstream)
            }
            try section.allow(Self.upstreamKeys)
            var repository: Settings.Repository
            if let existing {
                repository = settings.repositories[existing]
            } else {
                guard let address = try section.address("upstream") else {
                    throw repositories.error(name, Self.needsUpstream)
                }
                let host = "\(address.host)\(address.port.map { ":\($0)" } ?? "")"
                repository = Settings.Repository(
                    name: name, upstream: address, namespaces: (try? [Namespace(parsing: host)]) ?? [], isDefault: false,
                    cacheTtl: Settings.defaultTtl, maxSize: 0)
            }
            try self.read(section, into: &repository, &settings)
            guard !repository.namespaces.isEmpty else {
                throw repositories.error(name, "needs namespaces, such as [registry.example.com]")
            }
            if let existing { settings.repositories[existing] = repository } else { settings.repositories.append(repository) }
        }
    }

    private static let needsUpstream = "needs an upstream, such as https://registry.example.com"

    private func read(_ section: Section, into repository: inout Settings.Repository, _ settings: inout Settings) throws {
        let prefix = "repositories.\(repository.name)"
        if let value = try section.address("upstream") {
            repository.upstream = value
            settings.origins["\(prefix).upstream"] = section.place("upstream")
        }
        if let values = try section.strings("namespaces") {
            repository.namespaces = try values.map { text in
                do {
                    return try Namespace(parsing: text)
                } catch {
                    throw section.error("namespaces", "\(error)")
                }
            }
            settings.origins["\(prefix).namespaces"] = section.place("namespaces")
        }
        if let value = try section.boolean("default") {
            repository.isDefault = value
            settings.origins["\(prefix).default"] = section.place("default")
            // A file's default takes the place of the built-in one.
            if value {
                for index in settings.repositories.indices
                where settings.repositories[index].name != repository.name
                    && settings.origins["repositories.\(settings.repositories[index].name).default"] == nil
                {
                    settings.repositories[index].isDefault = false
                }
            }
        }
        let places = Self.upstreamKeys.map { ($0, section.place($0)) }
        try self.read(section, into: &repository.connection) { key in
            settings.origins["\(prefix).\(key)"] = places.first { $0.0 == key }?.1
        }
        if let value = try section.seconds("cacheTtl") {
            repository.cacheTtl = value
            settings.origins["\(prefix).cacheTtl"] = section.place("cacheTtl")
        }
    }

    private func readCache(_ document: Section, _ settings: inout Settings) throws {
        guard let cache = try document.section("cache") else { return }
        try cache.allow("repositories", "retainFor")
        if let value = try cache.seconds("retainFor") {
            settings.retainFor = value
            settings.origins["cache.retainFor"] = cache.place("retainFor")
        }
        guard let repositories = try cache.section("repositories") else { return }
        for name in repositories.keys {
            guard let index = settings.repositories.firstIndex(where: { $0.name == name }) else {
                throw repositories.unknown(name, among: settings.repositories.map(\.name))
            }
            guard let section = try repositories.section(name) else { continue }
            try section.allow("maxSize", "retainFor")
            if let value = try section.seconds("retainFor") {
                settings.repositories[index].retainFor = value
                settings.origins["cache.repositories.\(name).retainFor"] = section.place("retainFor")
            }
            if let value = try section.bytes("maxSize") {
                settings.repositories[index].maxSize = value
                settings.origins["cache.repositories.\(name).maxSize"] = section.place("maxSize")
            }
        }
    }

    private func readLog(_ document: Section, _ settings: inout Settings) throws {
        guard let log = try document.section("log") else { return }
        try log.allow("level", "format")
        if let value = try log.string("level") {
            guard let level = Logger.Level(rawValue: value) else {
                let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw log.error("level", "must be one of \(levels), not \"\(value)\"")
            }
            settings.logLevel = level
            settings.origins["log.level"] = log.place("level")
        }
        if let value = try log.string("format") {
            guard let format = Settings.LogFormat(rawValue: value) else {
                throw log.error("format", "must be text or json, not \"\(value)\"")
            }
            settings.logFormat = format
            settings.origins["log.format"] = log.place("format")
        }
    }

    /// What single keys cannot show: two upstreams for one name.
    private static func check(_ settings: Settings, in path: String) throws {
        let defaults = settings.repositories.filter(\.isDefault)
        guard defaults.count <= 1 else {
            throw SettingsError(
                "\(path): more than one repository is the default: \(defaults.map(\.name).joined(separator: ", "))")
        }
        var owners: [Namespace: String] = [:]
        for repository in settings.repositories {
            for namespace in repository.namespaces {
                if let owner = owners.updateValue(repository.name, forKey: namespace), owner != repository.name {
                    throw SettingsError("\(path): the namespace \(namespace) belongs to \(owner) and to \(repository.name)")
                }
            }
        }
    }
}
