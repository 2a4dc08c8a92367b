import OCI
import Storage

/// Counts pulls: manifests of images that are sent to clients.
extension PullThroughCache {
    /// Notes that a client is sent a manifest. Never blocks.
    ///
    /// - Parameter traffic: the repository's, where it is at hand.
    package func notePull(
        _ reference: Reference, _ digest: Digest, _ mediaType: MediaType?, _ outcome: RequestOutcome, in source: RoutedRepository,
        counting traffic: TrafficCell? = nil
    ) {
        // Who asks for an index asks for one of its images next.
        guard mediaType?.isIndex != true else { return }
        (traffic ?? source.traffic)?.add(to: .pulls)
        self.traffic.recentPulls.note(
            .init(
                at: self.wallClock, upstream: source.upstream.name, repository: source.repository, reference: reference,
                digest: digest, outcome: outcome))
        guard !self.store.notePull(of: digest), self.arrived(digest, in: source) != nil else { return }
        self.arrivedPulls.withLock { $0[digest, default: 0] += 1 }
        // It may have been stored in between.
        if self.arrived(digest, in: source) == nil { self.countArrivedPulls(of: digest) }
    }

    /// What was pulled before it was stored is counted once it is.
    func countArrivedPulls(of digest: Digest) {
        guard let count = self.arrivedPulls.withLock({ $0.removeValue(forKey: digest) }) else { return }
        self.store.notePull(of: digest, count: count)
    }
}
