import Foundation

/// A thread that owns some state and runs blocking work on it, one piece after the other.
///
/// The thread ends when the last reference goes and the work under way is done.
///
/// `@unchecked Sendable`: `queue.condition` guards what the threads share; `State` never leaves its thread.
final class SerialThread<State>: @unchecked Sendable {
    /// `@unchecked Sendable`: `condition` guards both variables.
    private final class Queue: @unchecked Sendable {
        let condition = NSCondition()
        var work: [@Sendable (inout State) -> Void] = []
        var isFinished = false

        /// `nil` when there will be none any more.
        func next() -> (@Sendable (inout State) -> Void)? {
            self.condition.lock()
            defer { self.condition.unlock() }
            while self.work.isEmpty {
                if self.isFinished { return nil }
                self.condition.wait()
            }
            return self.work.removeFirst()
        }
    }

    private let queue = Queue()

    /// - Parameter makeState: runs on the new thread.
    init(_ makeState: @escaping @Sendable () -> State) {
        Thread { [queue] in
            var state = makeState()
            while let work = queue.next() { work(&state) }
        }.start()
    }

    deinit {
        self.queue.condition.withLock {
            self.queue.isFinished = true
            self.queue.condition.signal()
        }
    }

    func run<Value: Sendable>(_ body: @escaping @Sendable (inout State) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.enqueue { state in continuation.resume(with: Result { try body(&state) }) }
        }
    }

    /// Runs the work without waiting for it.
    func enqueue(_ work: @escaping @Sendable (inout State) -> Void) {
        self.queue.condition.withLock {
            self.queue.work.append(work)
            self.queue.condition.signal()
        }
    }
}
