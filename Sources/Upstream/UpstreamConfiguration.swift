import OCI

/// Where a registry is and how patiently it is asked.
package struct UpstreamConfiguration: Sendable {
    /// The name used in logs, metrics and reports.
    package var name: String
    package var address: UpstreamAddress
    /// How long a connection may take to be made, TLS included.
    package var connectTimeout: Duration = Limits.Upstream.connect
    /// How long one request may wait for its response's head.
    package var headTimeout: Duration = Limits.Upstream.head
    /// Everything before the answer's head: token, redirects and retries. Engines give up after 30 s.
    package var budget: Duration = Limits.Upstream.budget
    /// How long a body may stand still before its connection is given up.
    package var stallTimeout: Duration = Limits.Upstream.stall
    /// Connections to one host for blobs, and as many again for manifests and tokens.
    package var connectionLimit: Int = Limits.Upstream.connections

    /// Places that have the same content, asked in this order before the registry itself.
    package var mirrors: [UpstreamAddress] = []
    package var credentials: (any CredentialSource)?
    /// Hosts, with a port where it is not the scheme's own, that get credentials besides the registry: its token services.
    package var authHosts: Set<String> = []
    package var tls = UpstreamTLS()
    package var proxy: ProxyRules?
    /// Bytes a second that are taken of blobs, all downloads together; 0 is no limit.
    package var bandwidthLimit: Int64 = 0
    /// Whether redirects and challenges may lead into a private network; nil: if the registry is in one itself.
    package var allowsPrivateTargets: Bool?
    /// When a place that fails is left alone.
    package var circuit = Circuit()

    package struct Circuit: Sendable {
        package var failures = Limits.Upstream.circuitFailures
        package var window = Limits.Upstream.circuitWindow
        package var pause = Limits.Upstream.circuitPause

        package init() {}
    }

    package init(name: String, address: UpstreamAddress) {
        self.name = name
        self.address = address
    }
}
