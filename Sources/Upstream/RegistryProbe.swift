import OCI

/// What asking a registry once has shown, step by step: for people who want to know why it does not work.
package struct RegistryProbe: Sendable {
    /// The links of the chain, in order.
    package enum Step: String, Sendable, CaseIterable {
        case name, connection, tls, answer, token
    }

    package struct Failure: Error, Sendable {
        package let step: Step
        package let message: String
        /// The certificate that was shown, when TLS failed.
        package var certificate: CertificateFacts?

        package init(_ step: Step, _ message: String, certificate: CertificateFacts? = nil) {
            self.step = step
            self.message = message
            self.certificate = certificate
        }
    }

    /// How the registry takes us.
    package enum Access: Sendable, Hashable {
        /// It wants no proof.
        case open
        /// It gives a token to anybody.
        case anonymous
        /// The credentials of this user are good.
        case accepted(user: String)
        /// They are not, by the word of this host.
        case refused(user: String, by: String)
        /// It wants credentials, and there are none for it.
        case wanted
        /// It gives no token to strangers who name no repository; what is public may still be had.
        case reserved
        /// It wants credentials sent to a host that is not among its token services.
        case withheld(host: String)
        /// It refuses whoever asks from here.
        case forbidden
        /// It has had enough of our requests; seconds until it may be asked again, if it said so.
        case limited(retryAfter: Int?)
    }

    package let address: UpstreamAddress
    package let isMirror: Bool
    /// The proxy by which it is reached.
    package var proxy: String?
    /// From the first packet to the answer's head.
    package var latency: Duration?
    /// Seconds by which the registry's clock is ahead of ours.
    package var clockOffset: Int64?
    package var access: Access?
    package var rateLimit: RateLimit?
    /// Where it leads, when it answers with nothing but a redirect.
    package var redirect: String?
    package var failure: Failure?

    /// Whether something can be had there.
    package var isUsable: Bool {
        switch self.access {
        case .open, .anonymous, .reserved, .accepted: self.failure == nil
        default: false
        }
    }

    /// What is asked first: distribution spec, "Determining Support".
    package var versionURL: String {
        // A path that has /v2 in it is used as written; what follows is for repositories.
        let prefix = self.address.path.split(separator: "/").prefix { $0 != "v2" }.map { "/\($0)" }.joined()
        return "\(self.address.isSecure ? "https" : "http")://\(self.address.authority)\(prefix)/v2/"
    }

    init(address: UpstreamAddress, isMirror: Bool) {
        self.address = address
        self.isMirror = isMirror
    }
}
