import Logging
import OCI
import Synchronization

/// Hashes stored content once after a start, when it is first asked for: disks forget, and a hit waits for nothing.
///
/// Small content is hashed before it is first sent, which costs less than opening it; large content afterwards, one after
/// the other, on a thread of the pool. What this process stored itself it has hashed already.
final class HitChecker: Sendable {
    /// Bytes up to which content is hashed before it is sent.
    static let immediate: Int64 = 1 << 20

    private struct State {
        var checked: [Digest: ContinuousClock.Instant] = [:]
        var queue: [Digest] = []
        var isRunning = false
    }

    private let state = Mutex(State())

    /// Notes that content is right.
    func note(_ digest: Digest) { self.state.withLock { $0.checked[digest] = .now } }

    func isChecked(_ digest: Digest) -> Bool { self.lastCheck(of: digest) != nil }

    /// When this process hashed content, or began to.
    func lastCheck(of digest: Digest) -> ContinuousClock.Instant? { self.state.withLock { $0.checked[digest] } }

    /// Queues content for a check; true when a job has to be started.
    func enqueue(_ digest: Digest) -> Bool {
        self.state.withLock { state in
            guard state.checked[digest] == nil else { return false }
            state.checked[digest] = .now
            state.queue.append(digest)
            defer { state.isRunning = true }
            return !state.isRunning
        }
    }

    /// The next to be checked; nil ends the job.
    func next() -> Digest? {
        self.state.withLock { state in
            guard !state.queue.isEmpty else {
                state.isRunning = false
                return nil
            }
            return state.queue.removeFirst()
        }
    }

    /// Forgets content that is no longer stored, so that what takes its place is looked at again.
    func forget(_ digest: Digest) { self.state.withLock { _ = $0.checked.removeValue(forKey: digest) } }
}
