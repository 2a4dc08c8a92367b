import Glibc
import NIOPosix
import OCI
import Synchronization

/// Writes log lines to standard error without ever making anybody wait.
///
/// Lines queue up to a limit; beyond it they are dropped and counted, and the count is written when there is room again: a
/// stalled pipe costs lines, never a response.
final class LogWriter: Sendable {
    private struct State {
        /// The lines that wait, one behind the other, and how many they are.
        var bytes: [UInt8] = []
        var count = 0
        var dropped = 0
        /// Those that were said to be dropped already.
        var droppedBefore: Int64 = 0
        var isWriting = false
        var timestamp = Timestamp()
    }

    private static let limit = Limits.Memory.logLines
    /// Between two writes: a burst of lines makes few of them, and a line is late by no more than this.
    private static let pause: useconds_t = 2000

    private let descriptor: CInt
    private let pool: NIOThreadPool
    private let state = Mutex(State())

    init(descriptor: CInt = STDERR_FILENO) {
        self.descriptor = descriptor
        self.pool = NIOThreadPool(numberOfThreads: 1)
        self.pool.start()
    }

    /// Lines that were dropped since the start.
    var droppedCount: Int64 { self.state.withLock { $0.droppedBefore + Int64($0.dropped) } }

    /// Writes a line with this moment's time in it.
    func write(_ beforeTime: some Collection<UInt8>, _ afterTime: some Collection<UInt8>) {
        let starts = self.state.withLock { state in
            guard state.count < Self.limit else {
                state.dropped += 1
                return false
            }
            state.count += 1
            state.bytes += beforeTime
            state.timestamp.append(to: &state.bytes)
            state.bytes += afterTime
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
        var batch: [UInt8] = []
        while true {
            batch.removeAll(keepingCapacity: true)
            self.state.withLock { state in
                swap(&batch, &state.bytes)
                state.count = 0
                if state.dropped > 0 {
                    batch += "… \(state.dropped) log lines were dropped because nobody read them in time\n".utf8
                    state.droppedBefore += Int64(state.dropped)
                    state.dropped = 0
                }
                if batch.isEmpty { state.isWriting = false }
            }
            if batch.isEmpty { return }
            StandardStreams.write(batch, to: self.descriptor)
            // What a burst took is not kept for ever.
            if batch.capacity > 1 << 20 { batch = [] }
            usleep(Self.pause)
        }
    }
}
