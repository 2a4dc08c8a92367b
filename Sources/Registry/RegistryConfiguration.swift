/// What the server is told from outside.
package struct RegistryConfiguration: Sendable, Hashable {
    package enum Reach: String, Sendable, CaseIterable {
        /// Only from this host.
        case loopback
        case all
    }

    /// From where the dashboard, `/health` and their like may be seen: they show private names.
    package var operations = Reach.loopback
    /// By which names, besides its own and addresses, this host is called.
    package var hostNames: [String] = []
    /// What the dashboard tells of engines; nil for nothing.
    package var engines: EngineGuide?
    /// How long running responses may take to end when the process is asked to stop.
    package var drainTimeout = Duration.seconds(30)
    package var limits = ServerLimits()
    /// Whether hits of small content are answered before the parser; the answers are the same.
    package var hasHotPath = true
    package var version: String

    package init(version: String) {
        self.version = version
    }
}
