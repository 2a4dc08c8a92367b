import OCI
import Synchronization

/// The traffic of one configured registry: a cell for each repository that has any.
package final class UpstreamTraffic: Sendable {
    /// The name in the configuration.
    package let name: String
    private let cells = Mutex<[QualifiedRepository: TrafficCell]>([:])
    private let othersBox = Mutex<TrafficCell?>(nil)
    /// By kind and outcome, since this process began.
    private let requests: InlineArray<21, Atomic<Int64>>

    init(_ name: String) {
        self.name = name
        self.requests = InlineArray { _ in Atomic(0) }
    }

    /// Counts for repositories without a cell of their own.
    package var others: TrafficCell {
        self.othersBox.withLock { others in
            if let others { return others }
            let cell = TrafficCell(nil, of: self)
            others = cell
            return cell
        }
    }

    /// The cell of a repository that has content, made when it is missing.
    package func cell(_ repository: QualifiedRepository) -> TrafficCell {
        self.cells.withLock { cells in
            if let cell = cells[repository] { return cell }
            let cell = TrafficCell(repository, of: self)
            cells[repository] = cell
            return cell
        }
    }

    /// The cell of a repository if it has one, else that of all others: names that lead nowhere take no place.
    package func known(_ repository: QualifiedRepository) -> TrafficCell {
        self.cells.withLock { $0[repository] } ?? self.others
    }

    /// Since this process began.
    package func requests(_ outcome: RequestOutcome, _ kind: RequestKind) -> Int64 {
        self.requests[Self.place(outcome, kind)].load(ordering: .relaxed)
    }

    /// All cells together, since this process began. What a retired cell had counted is in it.
    package var counts: TrafficCounts {
        var sum = self.retired.withLock { $0 }
        for cell in self.allCells { sum += cell.counts }
        return sum
    }

    private let retired = Mutex(TrafficCounts())

    var allCells: [TrafficCell] { self.cells.withLock { Array($0.values) } + [self.others] }

    func note(_ outcome: RequestOutcome, _ kind: RequestKind) {
        self.requests[Self.place(outcome, kind)].wrappingAdd(1, ordering: .relaxed)
    }

    /// Gives a cell's place free; what it counted stays part of the sums.
    ///
    /// - Returns: all that it has counted.
    func retire(_ repository: QualifiedRepository) -> TrafficCounts? {
        guard let cell = self.cells.withLock({ $0.removeValue(forKey: repository) }) else { return nil }
        cell.retire()
        let counts = cell.counts
        self.retired.withLock { $0 += counts }
        return counts
    }

    private static func place(_ outcome: RequestOutcome, _ kind: RequestKind) -> Int {
        kind.rawValue * RequestOutcome.allCases.count + outcome.rawValue
    }
}
