import Synchronization

/// Why the store cannot do its work at present, for whoever asks how it is.
final class StoreCondition: Sendable {
    private struct State {
        /// Holds until somebody says otherwise: read-only, or gone.
        var standing: String?
        /// The last thing that failed; the next that succeeds ends it.
        var failure: String?
    }

    private let state = Mutex(State())

    var reason: String? { self.state.withLock { $0.standing ?? $0.failure } }

    /// Whether a reason holds that no success ends.
    var isStanding: Bool { self.state.withLock { $0.standing != nil } }

    func stand(_ reason: String?) { self.state.withLock { $0.standing = reason } }

    func fail(_ reason: String) { self.state.withLock { $0.failure = reason } }

    func succeed() { self.state.withLock { $0.failure = nil } }
}
