import Glibc
import OCI
import Registry

/// Who may have how many of the descriptors that this process may open.
///
/// Clients are counted with what each can need at the same time: its connection, a file, and a connection to an upstream. What
/// the store opens for itself (shards to sync, a journal to compact), and what name resolution and TLS open for a moment, has a
/// reserve, so that a process whose clients have all they may have can still serve them.
struct DescriptorBudget: Hashable {
    /// Standard streams, event loops, signals, the store's folder, lock and journal: about 22 with two loops; and a dozen more
    /// that are open for a moment.
    static let reserve = 34
    /// A connection, a stored blob or a spool file, and an upstream connection.
    static let perClient = 3

    /// Stored blobs that are kept open for the next hit.
    let openBlobs: Int
    /// Connections of clients.
    let clients: Int
    /// Connections that are being told that there are too many.
    let refusals: Int
    /// Connections to one host of an upstream, for blobs; as many again for manifests and tokens.
    let upstreamConnections: Int

    /// - Parameter total: how many this process may have open.
    init(total: Int) {
        let spare = max(0, total - Self.reserve)
        // The table has sixteen places at least, one a shard.
        self.openBlobs = min(Limits.Process.openBlobs, max(16, spare / 4))
        self.refusals = min(Limits.Server.refusals, max(2, spare / 16))
        let rest = spare - self.openBlobs - self.refusals
        self.clients = min(Limits.Server.connections, max(2, rest / Self.perClient))
        self.upstreamConnections = min(Limits.Upstream.connections, max(2, self.clients / 2))
    }

    /// Whether a server has all that its limits allow.
    var isComplete: Bool { self.clients == Limits.Server.connections }

    /// The server's limits, lowered to what there are descriptors for.
    var serverLimits: ServerLimits {
        var limits = ServerLimits()
        limits.connections = self.clients
        limits.refusals = self.refusals
        return limits
    }

    /// Takes all the descriptors that this process may have, up to `Limits.Process.descriptors`; returns how many it has.
    static func raiseLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 256 }
        let wanted = min(limit.rlim_max, rlim_t(Limits.Process.descriptors))
        if limit.rlim_cur < wanted {
            var raised = limit
            raised.rlim_cur = wanted
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return Int(min(limit.rlim_cur, rlim_t(Limits.Process.descriptors)))
    }
}
