import Glibc
import NIOPosix
import Synchronization

/// Writes log lines to standard error without ever making anybody wait.
///
/// Lines queue up to a limit; beyond it they are dropped and counted, and the count is written when there is room again: a
/// stalled pipe costs lines, never a response.
final class LogWriter: Sendable {
    private struct State {
        var lines: [String] = []
        var dropped = 0
        var isWriting = false
    }

    private static let limit = 8192

    private let descriptor: CInt
    private let pool: NIOThreadPool
    private let state = Mutex(State())

    init(descriptor: CInt = STDERR_FILENO) {
        self.descriptor = descriptor
        self.pool = NIOThreadPool(numberOfThreads: 1)
        self.pool.start()
    }

    func write(_ line: String) {
        let starts = self.state.withLock { state in
            guard state.lines.count < Self.limit else {
                state.dropped += 1
                return false
            }
            state.lines.append(line)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if starts { self.pool.submit { _ in self.drain() } }
    }

    /// Writes what is queued and ends, but waits no longer than two seconds for a reader that does not read.
    func close() async {
        let deadline = ContinuousClock.now + .seconds(2)
        while self.state.withLock({ $0.isWriting }), ContinuousClock.now < deadline {
            do {
                try await Task.sleep(for: .milliseconds(5))
            } catch {
                return
            }
        }
    }

    private func drain() {
        while true {
            let batch = self.state.withLock { state -> [String] in
                var batch = state.lines
                state.lines = []
                if state.dropped > 0 {
                    batch.append("… \(state.dropped) log lines were dropped because nobody read them in time\n")
                    state.dropped = 0
                }
                if batch.isEmpty { state.isWriting = false }
                return batch
            }
            if batch.isEmpty { return }
            Self.write(batch.joined(), to: self.descriptor)
        }
    }

    private static func write(_ text: String, to descriptor: CInt) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let base = rest.baseAddress, rest.count > 0 {
                let count = Glibc.write(descriptor, base, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    return  // nobody is there to be told
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
