import NIOCore

/// Whether a client has had its time. Pure: whoever looks brings the time.
struct ClientPatience {
    /// What a connection is doing when somebody looks.
    enum Activity {
        /// Between two requests.
        case idle(since: NIODeadline)
        /// A request has begun to arrive.
        case sending(since: NIODeadline)
        /// The client waits for us.
        case waiting
        /// We wait for the client; `taken` is how many bytes it has acknowledged since the connection was made.
        case taking(taken: UInt64)
    }

    private let limits: ServerLimits
    private var window: (start: NIODeadline, taken: UInt64)?

    init(_ limits: ServerLimits) {
        self.limits = limits
    }

    /// True when the connection is to be closed.
    mutating func isExhausted(_ activity: Activity, at now: NIODeadline) -> Bool {
        guard case .taking(let taken) = activity else {
            self.window = nil
            return self.isOver(activity, at: now)
        }
        guard let window = self.window else {
            self.window = (now, taken)
            return false
        }
        guard now - window.start >= TimeAmount(self.limits.takingWindow) else { return false }
        self.window = (now, taken)
        return taken < window.taken + UInt64(self.limits.takenInWindow)
    }

    private func isOver(_ activity: Activity, at now: NIODeadline) -> Bool {
        switch activity {
        case .idle(let since): now - since >= TimeAmount(self.limits.idle)
        case .sending(let since): now - since >= TimeAmount(self.limits.request)
        case .waiting, .taking: false
        }
    }
}
