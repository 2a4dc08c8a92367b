import NIOSSL

/// How a registry's certificate is judged, and which one is shown to it.
package struct UpstreamTLS: Sendable, Hashable {
    let authorities: [NIOSSLCertificate]
    let chain: [NIOSSLCertificate]
    private let key: NIOSSLPrivateKey?

    /// The system's authorities, and no certificate of our own.
    package init() {
        self.authorities = []
        self.chain = []
        self.key = nil
    }

    /// Reads PEM files.
    ///
    /// - Parameters:
    ///   - authorities: certificates that are believed besides the system's.
    ///   - certificate: the chain that is shown to the registry, and to nobody it leads to.
    ///   - key: the private key of its first certificate; nil when it is in the same file.
    /// - Throws: `UnusableFile` that names the file.
    package init(authorities: String?, certificate: String?, key: String?) throws {
        self.authorities = try authorities.map { try Self.certificates(in: $0) } ?? []
        self.chain = try certificate.map { try Self.certificates(in: $0) } ?? []
        guard let path = key ?? certificate else {
            self.key = nil
            return
        }
        do {
            self.key = try NIOSSLPrivateKey(file: path, format: .pem)
        } catch {
            throw UnusableFile(
                path: path, problem: "holds no private key in PEM that can be read without a passphrase (\(error))")
        }
    }

    private static func certificates(in path: String) throws -> [NIOSSLCertificate] {
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(path)
            if !certificates.isEmpty { return certificates }
        } catch {
            throw UnusableFile(path: path, problem: "holds no certificates in PEM that can be read (\(error))")
        }
        throw UnusableFile(path: path, problem: "holds no certificate")
    }

    package struct UnusableFile: Error, CustomStringConvertible {
        let path: String
        let problem: String

        package var description: String { "\(self.path) \(self.problem)" }
    }

    /// - Parameter isHome: whether it is the registry itself that is spoken to; only it sees our certificate.
    func configuration(isHome: Bool) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if !self.authorities.isEmpty { configuration.additionalTrustRoots = [.certificates(self.authorities)] }
        if isHome, let key = self.key {
            configuration.certificateChain = self.chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(key)
        }
        return configuration
    }
}
