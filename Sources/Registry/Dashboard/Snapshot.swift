import Synchronization

/// A value that is made when somebody asks for it and is good for a moment, so that any number of open pages cost as much as one.
///
/// What takes long to make is kept for longer: making it never takes more than a twentieth of one processor's time. Asked for and made on
/// threads that may block.
final class Snapshot<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var expiry = ContinuousClock.now
        var lastQuestion = ContinuousClock.now
        var isBeingMade = false
        var waiting: [@Sendable (Value) -> Void] = []
    }

    private let state = Mutex(State())
    private let lifetime: Duration
    private let make: @Sendable () -> Value

    /// - Parameter lifetime: how long a value is good for, at least.
    init(lifetime: Duration, _ make: @escaping @Sendable () -> Value) {
        self.lifetime = lifetime
        self.make = make
    }

    /// Calls back with the value: at once, or from the thread of whoever is making it.
    func value(_ then: @escaping @Sendable (Value) -> Void) {
        let (value, isOurs) = self.state.withLock { state -> (Value?, Bool) in
            state.lastQuestion = .now
            if let value = state.value, state.expiry > .now { return (value, false) }
            state.waiting.append(then)
            defer { state.isBeingMade = true }
            return (nil, !state.isBeingMade)
        }
        if let value { return then(value) }
        guard isOurs else { return }
        let start = ContinuousClock.now
        let made = self.make()
        let end = ContinuousClock.now
        let waiting = self.state.withLock { state in
            state.value = made
            state.expiry = end + max(self.lifetime, start.duration(to: end) * 20)
            state.isBeingMade = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for then in waiting { then(made) }
    }

    /// Lets go of a value that nobody has asked for in a while; true when there is one still.
    func forget(unusedFor duration: Duration) -> Bool {
        self.state.withLock { state in
            if state.lastQuestion.duration(to: .now) >= duration, !state.isBeingMade { state.value = nil }
            return state.value != nil || state.isBeingMade
        }
    }
}
