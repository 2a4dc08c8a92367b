import NIOCore
import NIOPosix
import Synchronization

/// Work that blocks and may never come back, such as looking at a disk that hangs or asking a resolver that is silent.
///
/// It has a thread of its own, which is left behind when the time is over: for commands that end soon.
package enum BoundedWork {
    /// What the work returned; nil when it was not done in time.
    package static func run<T: Sendable>(
        within limit: Duration, _ work: @escaping @Sendable () throws -> T
    ) async throws -> T? {
        let race = Race<T?>()
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        pool.submit { _ in
            race.end(Result { try work() })
            pool.shutdownGracefully { _ in }
        }
        let timer = NIOSingletons.posixEventLoopGroup.any().scheduleTask(in: TimeAmount(limit)) { race.end(.success(nil)) }
        defer { timer.cancel() }
        return try await race.result()
    }

    /// Takes the first result and forgets all others.
    final class Race<T: Sendable>: Sendable {
        private enum State {
            case running(CheckedContinuation<T, any Error>?)
            case ended(Result<T, any Error>)
        }

        private let state = Mutex(State.running(nil))

        func end(_ result: Result<T, any Error>) {
            let waiter = self.state.withLock { state -> CheckedContinuation<T, any Error>? in
                guard case .running(let waiter) = state else { return nil }
                state = .ended(result)
                return waiter
            }
            waiter?.resume(with: result)
        }

        func result() async throws -> T {
            try await withCheckedThrowingContinuation { waiter in
                let result = self.state.withLock { state -> Result<T, any Error>? in
                    if case .ended(let result) = state { return result }
                    state = .running(waiter)
                    return nil
                }
                if let result { waiter.resume(with: result) }
            }
        }
    }
}
