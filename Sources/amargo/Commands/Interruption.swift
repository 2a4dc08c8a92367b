import Glibc
import UnixSignals

/// SIGINT and SIGTERM while a command works.
enum Interruption {
    /// Runs blocking work, and has it ended at the first signal. At the second the process ends: the work may be waiting for a slow disk.
    static func during<T: Sendable>(
        _ work: @escaping @Sendable () throws -> T, interrupt: @escaping @Sendable () -> Void
    ) async throws -> T {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask { try await Blocking.run(work) }
            group.addTask {
                var count = 0
                for await _ in signals {
                    count += 1
                    if count > 1 { _exit(128 + SIGINT) }
                    interrupt()
                }
                return nil
            }
            while let result = try await group.next() {
                group.cancelAll()
                if let result { return result }
            }
            throw CancellationError()
        }
    }
}
