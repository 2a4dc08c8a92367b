import Foundation
import Upstream

/// The credentials that `docker login` left: `config.json` with its `auths`, `credHelpers` and `credsStore`.
///
/// Source: https://docs.docker.com/reference/cli/docker/login/ and docker-credential-helpers' protocol: the registry's name on standard
/// input, a JSON object on standard output.
struct DockerCredentials: CredentialSource {
    /// `config.json`.
    let file: WatchedFile
    /// Where helpers are looked for.
    let searchPath: String
    /// How long a helper may take.
    var helperLimit = Duration.seconds(10)

    private struct File: Decodable {
        struct Entry: Decodable {
            let auth: String?
            let username: String?
            let password: String?
            let identitytoken: String?
        }

        let auths: [String: Entry]?
        let credHelpers: [String: String]?
        let credsStore: String?
    }

    func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential? {
        try await Blocking.run { try self.find(address) }
    }

    private var path: String { self.file.path }

    private func find(_ address: UpstreamAddress) throws -> Credential? {
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: Data(self.file.text.utf8))
        } catch {
            throw SettingsError("\(self.path) is not Docker's config.json: it cannot be read as JSON")
        }
        let names = Self.names(of: address)
        if let helper = names.lazy.compactMap({ file.credHelpers?[$0] }).first ?? file.credsStore, !helper.isEmpty {
            for name in names {
                if let credential = try self.ask(helper, for: name) { return credential }
            }
        }
        // Exactly as Docker writes it, before other spellings of the same; a longer path is another account's.
        let auths = file.auths ?? [:]
        let others = auths.keys.sorted().filter { Self.host(of: $0).map { names.contains($0) } ?? false }
        for key in names + others {
            guard let entry = auths[key], let credential = try self.credential(in: entry, key) else { continue }
            return credential
        }
        return nil
    }

    /// The names by which Docker knows a registry, the one it writes itself first.
    private static func names(of address: UpstreamAddress) -> [String] {
        guard ["registry-1.docker.io", "index.docker.io", "docker.io"].contains(address.host) else { return [address.authority] }
        return ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"]
    }

    /// The host of a key that stands for a whole registry.
    private static func host(of key: String) -> String? {
        let rest = key.hasPrefix("https://") ? key.dropFirst(8) : key.hasPrefix("http://") ? key.dropFirst(7) : Substring(key)
        let host = rest.prefix { $0 != "/" }
        guard ["", "/", "/v1", "/v1/", "/v2", "/v2/"].contains(String(rest.dropFirst(host.count))) else { return nil }
        return host.lowercased()
    }

    private func credential(in entry: File.Entry, _ key: String) throws -> Credential? {
        var username = entry.username ?? ""
        var password = entry.password ?? ""
        if let auth = entry.auth, !auth.isEmpty {
            guard let data = Data(base64Encoded: auth), let pair = String(data: data, encoding: .utf8),
                let colon = pair.firstIndex(of: ":")
            else { throw SettingsError("\(self.path): the auth of \(key) is not a name and a password in base 64") }
            username = String(pair[..<colon])
            password = String(pair[pair.index(after: colon)...]).trimmingCharacters(in: CharacterSet(charactersIn: "\0"))
        }
        if let token = entry.identitytoken, !token.isEmpty {
            return Credential(username: username, secret: .identityToken(token))
        }
        return password.isEmpty ? nil : Credential(username: username, secret: .password(password))
    }

    // MARK: - Helpers

    private struct HelperAnswer: Decodable {
        let Username: String
        let Secret: String
    }

    /// Runs `docker-credential-NAME get`. Nil when it knows no such registry.
    private func ask(_ helper: String, for name: String) throws -> Credential? {
        let program = "docker-credential-\(helper)"
        guard !helper.contains("/"), let path = self.locate(program) else {
            throw SettingsError("\(self.path) wants \(program), which is not in the search path (\(self.searchPath))")
        }
        let outcome = try HelperProgram(path: path, arguments: ["get"], limit: self.helperLimit).run(input: name)
        guard let status = outcome.status else {
            throw SettingsError("\(program) ended by a signal, or took too long, when asked for \(name)")
        }
        guard status == 0 else {
            // The words of the protocol, on standard output.
            if String(decoding: outcome.output, as: UTF8.self).contains("credentials not found") { return nil }
            throw SettingsError("\(program) ended with status \(status) when asked for \(name)")
        }
        guard let answer = try? JSONDecoder().decode(HelperAnswer.self, from: outcome.output), !answer.Secret.isEmpty else {
            throw SettingsError("\(program) gave an answer for \(name) that cannot be read")
        }
        // Docker's own convention for a token instead of a password.
        if answer.Username == "<token>" { return Credential(username: answer.Username, secret: .identityToken(answer.Secret)) }
        return Credential(username: answer.Username, secret: .password(answer.Secret))
    }

    private func locate(_ program: String) -> String? {
        self.searchPath.split(separator: ":").map { "\($0)/\(program)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
