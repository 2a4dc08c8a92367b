/// One name and one secret, for one registry. They are given to no mirror.
package struct FixedCredential: CredentialSource {
    private let address: UpstreamAddress
    private let credential: Credential

    package init(_ credential: Credential, for address: UpstreamAddress) {
        self.credential = credential
        self.address = address
    }

    package func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential? {
        self.address.maySecretsGo(to: address) ? self.credential : nil
    }
}
