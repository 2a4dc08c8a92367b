import OCI

/// The limits of one server: those of `Limits.Server`, or fewer where the process may have fewer descriptors, or shorter in a test.
package struct ServerLimits: Sendable, Hashable {
    package var connections = Limits.Server.connections
    package var connectionsPerClient = Limits.Server.connectionsPerClient
    package var refusals = Limits.Server.refusals
    package var pipelined = Limits.Server.pipelined
    package var request = Limits.Server.request
    package var idle = Limits.Server.idle
    package var idleGrace = Limits.Server.idleGrace
    package var takingWindow = Limits.Server.takingWindow
    package var takenInWindow = Limits.Server.takenInWindow
    package var lingering = Limits.Server.lingering
    package var acceptPause = Limits.Server.acceptPause

    package init() {}

    /// How often a connection's times are looked at: one timer now and then instead of one moved with each event.
    var checkInterval: Duration { min(self.request, self.idle, self.takingWindow) / 2 }
}
