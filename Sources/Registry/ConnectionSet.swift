import NIOCore
import Synchronization

/// The connections that are open.
final class ConnectionSet: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var activities: [ObjectIdentifier: ConnectionActivity] = [:]
        var ledger: ConnectionLedger<ObjectIdentifier>
        /// Those that are being told that there are too many.
        var refusals = 0
        /// Since the start.
        var accepted: Int64 = 0
        var refused: Int64 = 0
        var isDraining = false
        var lastWarnings: [Warning: NIODeadline] = [:]
    }

    /// What is worth a line in the log, but not one each time.
    enum Warning {
        case refusal, shortage
    }

    enum Admission {
        case accepted(ConnectionActivity)
        /// Not taken, but there is room to say so; `ended` is to be called when that is done.
        case refused
        case dropped
    }

    private let limits: ServerLimits
    private let state: Mutex<State>

    init(limits: ServerLimits) {
        self.limits = limits
        self.state = Mutex(State(ledger: ConnectionLedger(limits: limits)))
    }

    var count: Int { self.state.withLock { $0.channels.count } }
    var isEmpty: Bool { self.count == 0 }

    var counts: ConnectionCounts {
        self.state.withLock { state in
            ConnectionCounts(
                open: state.channels.count, limit: self.limits.connections, accepted: state.accepted, refused: state.refused)
        }
    }

    /// Takes a new connection in, or not. One that is idle goes, where its place is needed.
    func admit(_ channel: any Channel) -> Admission {
        let key = ObjectIdentifier(channel)
        let client = ClientAddress(channel.remoteAddress)
        let activity = ConnectionActivity()
        let (admission, leaving) = self.state.withLock { state -> (Admission, (any Channel)?) in
            guard !state.isDraining else { return (.dropped, nil) }
            switch Self.admit(key, from: client, to: &state.ledger, state.activities) {
            case .accept:
                state.channels[key] = channel
                state.activities[key] = activity
                state.accepted += 1
                return (.accepted(activity), nil)
            case .replace(let victim):
                state.channels[key] = channel
                state.activities[key] = activity
                state.accepted += 1
                return (.accepted(activity), state.channels[victim])
            case .refuse:
                state.refused += 1
                guard state.refusals < self.limits.refusals else { return (.dropped, nil) }
                state.refusals += 1
                return (.refused, nil)
            }
        }
        leaving?.pipeline.fireUserInboundEventTriggered(ReclaimEvent())
        switch admission {
        case .accepted: channel.closeFuture.whenComplete { _ in self.remove(key) }
        case .refused: channel.closeFuture.whenComplete { _ in self.state.withLock { $0.refusals -= 1 } }
        case .dropped: break
        }
        return admission
    }

    /// A function of its own: a second reference to the table, as long as its next change, would make that change a copy.
    private static func admit(
        _ key: ObjectIdentifier, from client: ClientAddress, to ledger: inout ConnectionLedger<ObjectIdentifier>,
        _ activities: [ObjectIdentifier: ConnectionActivity]
    ) -> ConnectionLedger<ObjectIdentifier>.Admission {
        ledger.admit(key, from: client, at: .now()) { activities[$0]?.idleSince }
    }

    private func remove(_ key: ObjectIdentifier) {
        self.state.withLock { state in
            state.channels[key] = nil
            state.activities[key] = nil
            state.ledger.remove(key)
        }
    }

    /// The connection has a request by now, and does not go although it was told to.
    func keep(_ channel: any Channel) {
        self.state.withLock { $0.ledger.keep(ObjectIdentifier(channel)) }
    }

    /// Closes connections that are idle, those first that have been for longest; returns how many were told to go.
    @discardableResult
    func reclaim(_ count: Int) -> Int {
        let channels = self.state.withLock { state in
            let activities = state.activities
            return state.ledger.reclaim(count) { activities[$0]?.idleSince }.compactMap { state.channels[$0] }
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ReclaimEvent()) }
        return channels.count
    }

    /// Whether it is time for another such line: once a minute.
    func mayWarn(_ warning: Warning, at now: NIODeadline = .now()) -> Bool {
        self.state.withLock { state in
            if let last = state.lastWarnings[warning], now - last < .minutes(1) { return false }
            state.lastWarnings[warning] = now
            return true
        }
    }

    /// Tells every connection to end with its present response; returns how many there are.
    func drain() -> Int {
        let channels = self.state.withLock { state in
            state.isDraining = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(DrainEvent()) }
        return channels.count
    }

    func closeAll() {
        let channels = self.state.withLock { Array($0.channels.values) }
        for channel in channels { channel.close(promise: nil) }
    }
}

/// The connections of clients, in numbers.
struct ConnectionCounts {
    let open: Int
    let limit: Int
    /// Since the start.
    let accepted: Int64
    let refused: Int64
}

/// Since when a connection is idle: written by its event loop, read by whoever looks for one to close.
final class ConnectionActivity: Sendable {
    private static let busy: UInt64 = .max
    private let nanoseconds = Atomic<UInt64>(NIODeadline.now().uptimeNanoseconds)

    /// Nil while there is a request.
    var idleSince: NIODeadline? {
        let value = self.nanoseconds.load(ordering: .relaxed)
        return value == Self.busy ? nil : .uptimeNanoseconds(value)
    }

    func becomeBusy() { self.nanoseconds.store(Self.busy, ordering: .relaxed) }
    func becomeIdle() { self.nanoseconds.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed) }
}

/// Tells a connection to end with the response that is under way.
struct DrainEvent: Sendable {}

/// Tells a connection to close if it is idle: its place, or its descriptor, is needed.
struct ReclaimEvent: Sendable {}
