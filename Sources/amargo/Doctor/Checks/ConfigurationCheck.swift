import Foundation
import Glibc

/// Which configuration is in force, and whether it can be used.
struct ConfigurationCheck: BlockingCheck {
    let id = "configuration.file"
    let loader: SettingsLoader
    /// Who will serve.
    let user: HostUser

    func look() -> [Diagnosis] {
        let path: String?
        do {
            let (settings, file) = try self.loader.load()
            path = file
            return [self.found(file, settings)] + self.others(than: file) + self.rights(of: file)
        } catch {
            path = nil
            return [
                Diagnosis(
                    self.id, .problem, "\(error)".harmless,
                    "Nothing starts before this is mended; the rest is checked as far as it goes.",
                    "When it is: amargo config check")
            ] + self.others(than: path)
        }
    }

    private func found(_ file: String?, _ settings: Settings) -> Diagnosis {
        let searched = self.loader.usualFiles.joined(separator: ", ")
        guard let file else {
            return Diagnosis(self.id, .ok, "built-in defaults: there is none of \(searched)")
        }
        let reason =
            switch () {
            case _ where self.loader.options.config != nil: "--config"
            case _ where self.loader.environment["AMARGO_CONFIG"]?.isEmpty == false: "AMARGO_CONFIG"
            default: "the first that is there of \(searched)"
            }
        return Diagnosis(self.id, .ok, "\(file) (\(reason))")
    }

    /// Files that somebody may think are in force.
    private func others(than file: String?) -> [Diagnosis] {
        guard let file else { return [] }
        return self.loader.usualFiles.filter { $0 != file && access($0, F_OK) == 0 }.map { other in
            Diagnosis(
                "configuration.shadowed", of: other, .note, "is not read: \(file) comes before it",
                "A service may read another one than you do: name it with --config \(other)")
        }
    }

    private func rights(of file: String?) -> [Diagnosis] {
        var status = stat()
        guard let file, stat(file, &status) == 0 else { return [] }
        if status.st_mode & 0o002 != 0 {
            return [
                Diagnosis(
                    "configuration.rights", of: file, .warning, "can be changed by everybody on this host", "chmod o-w \(file)")
            ]
        }
        let text = (try? ConfigurationText.read(file)) ?? ""  // it was read a moment ago
        if status.st_mode & 0o004 != 0, Self.holdsPassword(text) {
            return [
                Diagnosis(
                    "configuration.rights", of: file, .warning, "holds a password and can be read by everybody on this host",
                    "chmod o-r \(file), or name a passwordFile instead")
            ]
        }
        guard !self.user.mayRead(file) else { return [] }
        return [
            Diagnosis(
                "configuration.rights", of: file, .warning,
                "cannot be read by the user \(self.user.name), to whom the store belongs",
                "A service that runs as \(self.user.name) does not start: chgrp $(id -gn \(self.user.name)) \(file) && chmod g+r \(file)"
            )
        ]
    }

    /// Whether a key `password` has a value.
    static func holdsPassword(_ text: String) -> Bool {
        text.split(separator: "\n").contains { line in
            let code = line.prefix { $0 != "#" }
            guard let range = code.firstRange(of: "password:") else { return false }
            return code[range.upperBound...].contains { !$0.isWhitespace && $0 != "," && $0 != "}" }
        }
    }
}

/// `AMARGO_…` variables that mean nothing.
struct EnvironmentCheck: BlockingCheck {
    let id = "configuration.environment"
    let environment: [String: String]
    let registries: [String]

    func look() -> [Diagnosis] {
        let known =
            ["AMARGO_CONFIG", "AMARGO_STORE"]
            + self.registries.flatMap { name in
                let prefix = SettingsLoader.variablePrefix(of: name)
                return ["\(prefix)_USERNAME", "\(prefix)_PASSWORD"]
            }
        let set = self.environment.keys.filter { $0.hasPrefix("AMARGO_") }.sorted()
        let unknown = set.filter { !known.contains($0) }
        if unknown.isEmpty {
            let names = set.isEmpty ? "no AMARGO_ variable is set" : set.joined(separator: ", ")
            return [Diagnosis(self.id, .ok, names)]
        }
        return unknown.map { name in
            let advice = NearestKey.of(name, among: known).map { "Did you mean \($0)?" }
            return Diagnosis(
                self.id, of: name.harmless, .warning, "is no variable of Amargo, and has no effect",
                advice
                    ?? "Known are \(known.prefix(2).joined(separator: ", ")), and AMARGO_NAME_USERNAME with AMARGO_NAME_PASSWORD."
            )
        }
    }
}

/// Files that hold secrets: whether whoever serves may read them, and nobody else.
struct SecretFilesCheck: BlockingCheck {
    let id = "configuration.secrets"
    let settings: Settings
    let user: HostUser

    func look() -> [Diagnosis] {
        self.files.flatMap { name, key, path in
            self.look(at: path, key, self.settings.origins["repositories.\(name).\(key)"], name)
        }
    }

    private var files: [(registry: String, key: String, path: String)] {
        self.settings.repositories.flatMap { repository -> [(String, String, String)] in
            var files: [(String, String, String)] = []
            switch repository.connection.credentials {
            case .passwordFile(_, let path): files.append((repository.name, "credentials", path))
            case .docker(let path): files.append((repository.name, "credentials", path))
            default: break
            }
            if let path = repository.connection.key { files.append((repository.name, "key", path)) }
            return files
        }
    }

    private func look(at path: String, _ key: String, _ origin: String?, _ name: String) -> [Diagnosis] {
        let place = "repositories.\(name).\(key)" + (origin.map { " (\($0))" } ?? "")
        var status = stat()
        guard stat(path, &status) == 0 else {
            let reason = String(cString: strerror(errno)).lowercased()
            return [Diagnosis(self.id, of: path, .problem, "cannot be read: \(reason)", "Mend the path in \(place).")]
        }
        if status.st_mode & 0o004 != 0 {
            return [Diagnosis(self.id, of: path, .warning, "can be read by everybody on this host", "chmod o= \(path)")]
        }
        guard self.user.mayRead(path) else {
            return [
                Diagnosis(
                    self.id, of: path, .warning, "cannot be read by the user \(self.user.name), who serves",
                    "chown \(self.user.name) \(path), or chgrp $(id -gn \(self.user.name)) \(path) && chmod g+r \(path); named by \(place)."
                )
            ]
        }
        if status.st_size == 0 {
            return [Diagnosis(self.id, of: path, .problem, "is empty", "Write the password into it; named by \(place).")]
        }
        return [Diagnosis(self.id, of: path, .ok, "can be read by the user \(self.user.name), not by everybody")]
    }
}
