import OCI
import Synchronization

/// The last pulls, for people who want to see something happen.
package final class RecentPulls: Sendable {
    package struct Pull: Sendable {
        /// Unix seconds.
        package let at: Int64
        /// The registry's name in the configuration.
        package let upstream: String
        package let repository: QualifiedRepository
        package let reference: Reference
        package let digest: Digest
        package let outcome: RequestOutcome
    }

    package static let limit = 64

    private struct Ring {
        var pulls: [Pull] = []
        var next = 0
    }

    private let ring = Mutex(Ring())

    func note(_ pull: Pull) {
        self.ring.withLock { ring in
            if ring.pulls.count < Self.limit {
                if ring.pulls.isEmpty { ring.pulls.reserveCapacity(Self.limit) }
                ring.pulls.append(pull)
            } else {
                ring.pulls[ring.next] = pull
            }
            ring.next = (ring.next + 1) % Self.limit
        }
    }

    /// The newest first.
    package var all: [Pull] {
        self.ring.withLock { ring in
            let pulls = ring.pulls
            guard pulls.count == Self.limit else { return pulls.reversed() }
            return Array((pulls[ring.next...] + pulls[..<ring.next]).reversed())
        }
    }
}
