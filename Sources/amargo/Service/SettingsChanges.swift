import OCI

/// What one configuration says differently from another, in the words of its file. Without secrets.
struct SettingsChanges {
    /// What is in force from now on, such as `[docker] cacheTtl 1800 → 600`.
    let applied: [String]
    /// What takes a restart: sentences.
    let postponed: [String]

    /// More are only counted: it is one line.
    private static let limit = 40

    init(from old: Settings, to new: Settings) {
        self.applied = Self.general(old, new) + Self.registries(old, new)
        self.postponed = Self.restarts(old, new)
    }

    /// `[docker] cacheTtl 1800 → 600; registry lab added`
    var summary: String {
        if self.applied.isEmpty { return "nothing has changed" }
        let more = self.applied.count - Self.limit
        return (self.applied.prefix(Self.limit) + (more > 0 ? ["\(more) more"] : [])).joined(separator: "; ")
    }

    /// What is in force after a reload: the new settings, with the old ones' where only a restart helps.
    static func inForce(_ new: Settings, after old: Settings) -> Settings {
        var settings = new
        settings.listen = old.listen
        settings.storePath = old.storePath
        settings.watchedFolder = old.watchedFolder
        settings.logFormat = old.logFormat
        return settings
    }

    private static func restarts(_ old: Settings, _ new: Settings) -> [String] {
        func sentence(_ key: String, _ old: String, _ new: String) -> String? {
            old == new ? nil : "\(key) takes a restart: it is still \(old), not \(new)"
        }
        return [
            sentence("server.listen", old.listen.joined(separator: ", "), new.listen.joined(separator: ", ")),
            sentence("store.path", old.storePath, new.storePath),
            sentence("import.watch", old.watchedFolder ?? "no folder", new.watchedFolder ?? "no folder"),
            sentence("log.format", old.logFormat.rawValue, new.logFormat.rawValue),
        ].compactMap { $0 }
    }

    private static func general(_ old: Settings, _ new: Settings) -> [String] {
        [
            self.change("server.operations", old.operations.rawValue, new.operations.rawValue),
            self.change("store.maxSize", self.cap(old.maxSize), self.cap(new.maxSize)),
            self.change("store.minFree", self.cap(old.minFree), self.cap(new.minFree)),
            self.change("cache.retainFor", self.time(old.retainFor), self.time(new.retainFor)),
            self.change("log.level", old.logLevel.rawValue, new.logLevel.rawValue),
        ].compactMap { $0 }
    }

    private static func change(_ key: String, _ old: String, _ new: String) -> String? {
        old == new ? nil : "\(key) \(old) → \(new)"
    }

    private static func cap(_ bytes: Int64) -> String { bytes == 0 ? "none" : Quantity.describe(bytes: bytes) }

    private static func time(_ seconds: Int64) -> String { seconds == 0 ? "for ever" : "\(seconds)" }

    // MARK: - Registries

    private static func registries(_ old: Settings, _ new: Settings) -> [String] {
        var changes: [String] = []
        for repository in new.repositories {
            guard let before = old.repositories.first(where: { $0.name == repository.name }) else {
                changes.append("registry \(repository.name) added")
                continue
            }
            if before != repository { changes += self.changes(before, repository) }
        }
        for repository in old.repositories where !new.repositories.contains(where: { $0.name == repository.name }) {
            changes.append("registry \(repository.name) removed")
        }
        return changes
    }

    private static func changes(_ old: Settings.Repository, _ new: Settings.Repository) -> [String] {
        let (before, after) = (Self.values(old), Self.values(new))
        var keys = after.map(\.key)
        keys += before.map(\.key).filter { !keys.contains($0) }
        var changes: [String] = []
        for key in keys where key != "credentials" {
            let value = { (values: [(key: String, value: String)]) in values.first { $0.key == key }?.value ?? "default" }
            if let change = Self.change(key, value(before), value(after)) { changes.append(change) }
        }
        // Secrets are not in what is compared above, and not in what is said here.
        if old.connection.credentials != new.connection.credentials { changes.append("credentials changed") }
        if old.connection.proxy != new.connection.proxy, !changes.contains(where: { $0.hasPrefix("proxy ") }) {
            changes.append("proxy credentials changed")
        }
        return changes.map { "[\(new.name)] \($0)" }
    }

    private static func values(_ repository: Settings.Repository) -> [(key: String, value: String)] {
        let own: [(String, String)] = [
            ("upstream", "\(repository.upstream)"),
            ("namespaces", "[\(repository.namespaces.map(\.description).joined(separator: ", "))]"),
            ("default", "\(repository.isDefault)"),
            ("cacheTtl", "\(repository.cacheTtl)"),
            ("maxSize", Self.cap(repository.maxSize)),
            ("retainFor", repository.retainFor.map(Self.time) ?? "default"),
        ]
        return own
            + EffectiveConfiguration.lines(repository.connection).map { line, key in
                (key, String(line.dropFirst(key.utf8.count + 2)))
            }
    }
}
