import OCI
import Storage
import Synchronization

/// What one run has to bring and how far it is; shared by its tasks.
final class WarmLedger: Sendable {
    private struct Flight {
        let download: BlobDownload
        let size: Int64
        let image: String
    }

    private struct State {
        var flights: [Digest: Flight] = [:]
        /// Blobs that are known to be needed, so that what two images share counts once, and those of them that have come.
        var wanted: Set<Digest> = []
        var received: Set<Digest> = []
        var wantedBytes: Int64 = 0
        var receivedBytes: Int64 = 0
        var endedImages = 0
        /// What was brought must not go again to make room for the rest.
        var leases: [WriteLease] = []
    }

    private let state = Mutex(State())
    private let images: Int
    private let begin = ContinuousClock.now

    init(images: Int) {
        self.images = images
    }

    func want(_ edges: [Edge]) {
        self.state.withLock { state in
            for edge in edges where state.wanted.insert(edge.digest).inserted {
                state.wantedBytes = state.wantedBytes.addingSize(edge.size)
            }
        }
    }

    func began(_ edge: Edge, _ download: BlobDownload, for image: String) {
        self.state.withLock { $0.flights[edge.digest] = Flight(download: download, size: edge.size, image: image) }
    }

    /// - Parameter isStored: whether it came; else what has come of it counts no longer.
    /// - Returns: whether it came for the first time: several images may have waited for the same.
    @discardableResult
    func ended(_ edge: Edge, isStored: Bool) -> Bool {
        self.state.withLock { state in
            state.flights[edge.digest] = nil
            guard isStored, state.received.insert(edge.digest).inserted else { return false }
            state.receivedBytes = state.receivedBytes.addingSize(edge.size)
            return true
        }
    }

    /// It was there when its turn came, or will not come.
    func skip(_ edge: Edge) {
        self.state.withLock { state in
            guard !state.received.contains(edge.digest), state.wanted.remove(edge.digest) != nil else { return }
            state.wantedBytes = max(0, state.wantedBytes - edge.size)
        }
    }

    /// - Parameter leases: of what it consists, when all of it is stored.
    func endedImage(_ leases: [WriteLease]) {
        self.state.withLock { state in
            state.endedImages += 1
            state.leases += leases
        }
    }

    var milliseconds: Int64 { self.begin.duration(to: .now).milliseconds }

    var progress: WarmProgress {
        let (flights, progress) = self.state.withLock { state in
            var progress = WarmProgress()
            progress.received = state.receivedBytes
            progress.wanted = state.wantedBytes
            progress.endedImages = state.endedImages
            return (state.flights, progress)
        }
        var result = progress
        result.images = self.images
        result.milliseconds = self.milliseconds
        for (digest, flight) in flights {
            let received = min(flight.download.releasedCount, flight.size)
            result.received += received
            result.layers.append(.init(digest: digest, received: received, size: flight.size, image: flight.image))
        }
        // The largest rests stay longest, so they keep their places.
        result.layers.sort { ($1.size, $0.digest.description) < ($0.size, $1.digest.description) }
        return result
    }
}

extension Duration {
    var milliseconds: Int64 { self.components.seconds * 1000 + self.components.attoseconds / 1_000_000_000_000_000 }
}
