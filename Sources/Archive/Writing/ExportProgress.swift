import Storage
import Synchronization

/// How far an export is, and whether it shall end: what its thread and whoever watches it share.
package final class ExportProgress: Sendable {
    private let bytes = Atomic<Int64>(0)
    private let total = Atomic<Int64>(0)
    private let stop = StopFlag()
    private let report: @Sendable (_ bytes: Int64, _ total: Int64) -> Void

    /// - Parameter report: told after each piece, on the exporting thread, how many bytes of blobs of how many are written.
    package init(report: @escaping @Sendable (_ bytes: Int64, _ total: Int64) -> Void = { _, _ in }) {
        self.report = report
    }

    /// Ends the export at its next piece.
    package func interrupt() { self.stop.raise() }

    func begin(_ total: Int64) {
        self.bytes.store(0, ordering: .relaxed)
        self.total.store(total, ordering: .relaxed)
    }

    func add(_ count: Int64) {
        let bytes = self.bytes.add(count, ordering: .relaxed).newValue
        self.report(bytes, self.total.load(ordering: .relaxed))
    }

    func checkStop() throws {
        if self.stop.isRaised { throw BundleError(.interrupted, "interrupted; nothing was written") }
    }
}
