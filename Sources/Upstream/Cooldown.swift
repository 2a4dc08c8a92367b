import OCI
import Synchronization

/// Remembers that a registry limits us, so that it is left alone until it has said to come back.
///
/// containerd asks five times in a row when it gets a 429; what it gets must come from here.
final class Cooldown: Sendable {
    /// No registry keeps us away for longer than this, whatever it says.
    private static let longest = Limits.Upstream.cooldown
    private static let usual = 60

    private let end = Mutex<ContinuousClock.Instant?>(nil)

    /// Seconds that are left; nil when we may ask.
    var remaining: Int? {
        self.end.withLock { end in
            guard let instant = end else { return nil }
            let left = ContinuousClock.now.duration(to: instant)
            guard left > .zero else {
                end = nil
                return nil
            }
            return Int(left.components.seconds) + 1
        }
    }

    func begin(retryAfter seconds: Int?) {
        let pause = min(.seconds(seconds ?? Self.usual), Self.longest)
        self.end.withLock { $0 = .now + pause }
    }
}
