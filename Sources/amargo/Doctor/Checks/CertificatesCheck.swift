import Glibc
import Upstream

/// The certificates that the configuration names: whether they can be used, and for how long.
struct CertificatesCheck: BlockingCheck {
    let id = "configuration.certificates"
    let settings: Settings
    let environment: [String: String]
    /// Unix seconds.
    let now: Int64

    /// How long before its end a certificate is spoken of, in seconds.
    static let notice: Int64 = 30 * 86_400

    func look() -> [Diagnosis] {
        do {
            // All that do not say otherwise go by the environment's proxy: it is spoken of once.
            _ = try ProxyRules(environment: self.environment)
        } catch {
            return [
                Diagnosis(
                    "configuration.proxy", .problem, "\(error)".harmless, "The server does not start before this is mended.")
            ]
        }
        return self.settings.repositories.flatMap { repository -> [Diagnosis] in
            let connection = repository.connection
            let files = [("ca", connection.authorities), ("certificate", connection.certificate), ("key", connection.key)]
            for case (let key, let path?) in files where access(path, R_OK) != 0 {
                return [
                    Diagnosis(
                        self.id, of: path, .problem, "cannot be read: \(String(cString: strerror(errno)).lowercased())",
                        "Mend the path or its rights: \(self.place(key, repository.name)).")
                ]
            }
            do {
                // Proxy, credentials and certificates, as the server reads them at its start.
                _ = try connection.configuration(repository.name, repository.upstream, environment: self.environment)
            } catch {
                return [
                    Diagnosis(
                        "configuration.connection", of: repository.name, .problem, "\(error)".harmless,
                        "The server does not start before this is mended.")
                ]
            }
            guard connection.authorities != nil || connection.certificate != nil else { return [] }
            do {
                let tls = try UpstreamTLS(
                    authorities: connection.authorities, certificate: connection.certificate, key: connection.key)
                if connection.certificate != nil { try tls.check() }
                let facts = tls.facts
                return [
                    connection.authorities.map { self.judge(facts.authorities, $0, "ca", repository.name) },
                    connection.certificate.map { self.judge(facts.chain, $0, "certificate", repository.name) },
                ].compactMap { $0 }
            } catch let error as UpstreamTLS.MismatchedKey {
                let files = [connection.certificate, connection.key].compactMap { $0 }.joined(separator: " and ")
                return [
                    Diagnosis(
                        self.id, of: repository.name, .problem, "\(error): \(files)",
                        "Compare: openssl x509 -pubkey -noout -in CERTIFICATE with openssl pkey -pubout -in KEY")
                ]
            } catch {
                return [Diagnosis(self.id, of: repository.name, .problem, "\(error)".harmless)]
            }
        }
    }

    private func place(_ key: String, _ name: String) -> String {
        let dotted = "repositories.\(name).\(key)"
        return self.settings.origins[dotted].map { "\(dotted) (\($0))" } ?? dotted
    }

    private func judge(_ certificates: [CertificateFacts], _ path: String, _ key: String, _ name: String) -> Diagnosis {
        let place = self.place(key, name)
        if let late = certificates.first(where: { $0.ends <= self.now }) {
            return Diagnosis(
                self.id, of: path, .problem, "has ended on \(PlainDate.day(late.ends))", "Renew it; it is named by \(place).")
        }
        if let early = certificates.first(where: { $0.begins > self.now }) {
            return Diagnosis(
                self.id, of: path, .problem,
                "is good from \(PlainDate.day(early.begins)) on, and this host has \(PlainDate.day(self.now))",
                "Is the clock right? timedatectl")
        }
        let end = certificates.map(\.ends).min() ?? 0
        guard end > self.now + Self.notice else {
            return Diagnosis(
                self.id, of: path, .warning, "ends on \(PlainDate.day(end)), in \((end - self.now) / 86_400) days",
                "Renew it in time; it is named by \(place).")
        }
        return Diagnosis(self.id, of: path, .ok, "good until \(PlainDate.day(end))")
    }
}
