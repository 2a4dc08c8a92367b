import Logging
import Synchronization

/// From which level on lines are written: one for all loggers of the process, and changed while it runs.
final class LogLevel: Sendable {
    private static let levels = Logger.Level.allCases

    private let index: Atomic<Int>

    init(_ level: Logger.Level) {
        self.index = Atomic(Self.index(of: level))
    }

    var level: Logger.Level {
        get { Self.levels[self.index.load(ordering: .relaxed)] }
        set { self.index.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    private static func index(of level: Logger.Level) -> Int { self.levels.firstIndex(of: level) ?? 0 }
}
