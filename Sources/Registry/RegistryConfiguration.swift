/// What the server is told from outside.
package struct RegistryConfiguration: Sendable, Hashable {
    package enum Reach: String, Sendable, CaseIterable {
        /// Only from this host.
        case loopback
        case all
    }

    /// From where `/health` and its like may be seen: they show private names.
    package var operations = Reach.loopback
    /// How long running responses may take to end when the process is asked to stop.
    package var drainTimeout = Duration.seconds(30)
    package var version: String

    package init(version: String) {
        self.version = version
    }
}

/// Every limit of the server, in one place.
enum RegistryLimits {
    /// A request's body is not read further than this.
    static let requestBody = 64 << 10
    /// A blob that fits the tail may hold its head back for this long; then the head goes out first.
    static let patience = Duration.seconds(5)
    /// How long a connection may be idle between two requests.
    static let idle = Duration.seconds(60)
    /// How long a request may take to arrive.
    static let request = Duration.seconds(10)
    /// How long a client may take nothing of a body.
    static let stall = Duration.seconds(60)
    /// Connections in all; more wait in the kernel's queue.
    static let connections = 4096
    /// A range that begins further ahead of what has arrived than this is asked for on its own.
    static let ahead: Int64 = 32 << 20
    /// Bytes sent at once; small enough that a small answer does not wait behind a large one.
    static let slice: Int64 = 1 << 20
    /// The same for a client that is slow, so that its progress can be seen.
    static let slowSlice: Int64 = 64 << 10
}
