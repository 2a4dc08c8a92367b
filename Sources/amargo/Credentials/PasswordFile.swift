import Upstream

/// A name, and a password that stands in a file by itself.
struct PasswordFile: CredentialSource {
    let username: String
    let file: WatchedFile
    let address: UpstreamAddress

    func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential? {
        guard self.address.maySecretsGo(to: address) else { return nil }
        return try await Blocking.run {
            let password = self.file.text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            guard !password.isEmpty else { throw SettingsError("\(self.file.path) is empty") }
            return Credential(username: self.username, secret: .password(password))
        }
    }
}
