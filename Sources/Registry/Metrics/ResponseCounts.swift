import NIOHTTP1
import Synchronization

/// Answers by the first digit of their status. Adding takes no lock and allocates nothing.
final class ResponseCounts: Sendable {
    static let classes = 1...5

    private let counts: InlineArray<6, Atomic<Int64>>

    init() {
        self.counts = InlineArray { _ in Atomic(0) }
    }

    func note(_ status: HTTPResponseStatus) {
        let place = Int(status.code) / 100
        if Self.classes.contains(place) { self.counts[place].wrappingAdd(1, ordering: .relaxed) }
    }

    /// - Parameter place: in `classes`.
    func count(_ place: Int) -> Int64 { self.counts[place].load(ordering: .relaxed) }
}
