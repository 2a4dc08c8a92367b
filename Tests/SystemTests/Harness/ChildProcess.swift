import Foundation
import Synchronization

/// A started program whose end can be awaited any number of times.
///
/// What it prints goes to files, never to pipes: a pipe that nobody empties would stop the program.
final class ChildProcess: Sendable {
    enum Exit: Hashable, Sendable {
        case code(Int32)
        case signal(Int32)
    }

    /// What is known about the end, shared with the thread that Foundation reports it on.
    private final class Ending: Sendable {
        private struct State {
            var exit: Exit?
            var waiters: [CheckedContinuation<Exit, Never>] = []
        }

        private let state = Mutex(State())

        var exit: Exit? { self.state.withLock { $0.exit } }

        func wait(_ waiter: CheckedContinuation<Exit, Never>) {
            let exit = self.state.withLock { state -> Exit? in
                if state.exit == nil { state.waiters.append(waiter) }
                return state.exit
            }
            if let exit { waiter.resume(returning: exit) }
        }

        func ended(_ exit: Exit) {
            let waiters = self.state.withLock { state in
                state.exit = exit
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume(returning: exit) }
        }
    }

    private let ending: Ending

    let pid: Int32

    /// Nil while it runs.
    var exit: Exit? { self.ending.exit }

    init(_ program: URL, _ arguments: [String], environment: [String: String], output: FileHandle, errors: FileHandle) throws {
        let process = Process()
        (process.executableURL, process.arguments) = try NetworkNamespace.entering(program, arguments)
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        let ending = Ending()
        process.terminationHandler = { process in
            let status = process.terminationStatus
            ending.ended(process.terminationReason == .uncaughtSignal ? .signal(status) : .code(status))
        }
        try Self.withoutBlockedSignals { try process.run() }
        self.ending = ending
        self.pid = process.processIdentifier
    }

    /// Waits for the end; a signal is what ends it early.
    func exited() async -> Exit {
        await withCheckedContinuation { self.ending.wait($0) }
    }

    /// Waits for the end, and kills the program when it has not come in time.
    ///
    /// - Returns: nil when the time was over or the task cancelled; the program is gone then, too.
    func exited(within limit: Duration) async -> Exit? {
        await withTaskGroup(of: Exit?.self) { group in
            group.addTask { await self.exited() }
            group.addTask {
                // Cancelled or over: both say "do not wait any longer".
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await group.next() ?? nil
            if first == nil { self.send(SIGKILL) }
            group.cancelAll()
            return first
        }
    }

    func send(_ signal: Int32) {
        // The number of a program that has ended may belong to another one by now.
        guard self.exit == nil else { return }
        kill(self.pid, signal)
    }

    /// A child inherits the signal mask of the thread that starts it, and the threads Swift's tasks run on block
    /// nearly everything: it would never see SIGTERM.
    private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }
}
