import Glibc
import UnixSignals

/// What ^C means for a command that takes long: the first ends it properly, the second at once.
enum Interruption {
    /// Runs work that ends soon after its task is cancelled, and cancels it at SIGINT or SIGTERM.
    static func cancelling<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let (interruption, interrupt) = AsyncStream.makeStream(of: Never.self)
        return try await withThrowingTaskGroup(of: T?.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                var count = 0
                for await _ in signals {
                    count += 1
                    if count > 1 { _exit(128 + SIGINT) }
                    interrupt.finish()
                }
                return nil
            }
            group.addTask { try await Self.until(interruption, work) }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    private static func until<T: Sendable>(
        _ interruption: AsyncStream<Never>, _ work: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        try await withThrowingTaskGroup(of: T?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await work() }
            group.addTask {
                for await _ in interruption {}
                return nil
            }
            while let result = try await group.next() {
                if let result { return result }
                group.cancelAll()
            }
            throw CancellationError()
        }
    }

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
