import Glibc
import Logging
import Synchronization

/// Whoever started this process as a service, and hears how it is; usually systemd. Without one nothing is said.
///
/// The protocol is that of sd_notify(3), https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
final class Supervisor: Sendable {
    private enum Phase {
        case starting, ready, reloading, stopping
    }

    private struct State {
        var phase = Phase.starting
        var status = ""
        /// Whether it has been logged that nobody can be told.
        var hasWarned = false
    }

    /// By how much a start is extended each time, in seconds, and how often.
    private static let extensionSeconds = 30
    private static let extensionInterval = Duration.seconds(10)
    /// Bytes of a status line: `systemctl status` shows one line.
    private static let statusLimit = 800

    /// How long this process may be silent before it is taken for hung; nil for ever.
    let watchdog: Duration?
    private let socket: NotifySocket?
    private let logger: Logger
    private let state = Mutex(State())

    init(_ supervision: Supervision, logger: Logger) {
        self.socket = supervision.socket
        self.watchdog = supervision.watchdog
        self.logger = logger
    }

    var isListening: Bool { self.socket != nil }

    // MARK: - What is said

    /// The service does what it is for: at the end of its start, and of a reload.
    func ready(_ status: String) async {
        guard self.enter(.ready, saying: status) else { return }
        await self.send(["READY=1", Self.line(status)])
    }

    /// The configuration is being read again. Ended by `ready`.
    func reloading() async {
        guard self.enter(.reloading, saying: nil) else { return }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        // Since systemd 253, `Type=notify-reload` wants to know which reload this is.
        let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
        await self.send(["RELOADING=1", "MONOTONIC_USEC=\(microseconds)", "STATUS=Reading the configuration again"])
    }

    /// The end has begun.
    func stopping(_ status: String) async {
        guard self.enter(.stopping, saying: status) else { return }
        await self.send(["STOPPING=1", Self.line(status)])
    }

    /// How it is, for people; said only when that is news.
    func status(_ status: String) async {
        let isNews = self.state.withLock { state in
            guard state.phase == .ready || state.phase == .starting, state.status != status else { return false }
            state.status = status
            return true
        }
        if isNews { await self.send([Self.line(status)]) }
    }

    /// This process makes progress.
    func ping() async { await self.send(["WATCHDOG=1"]) }

    /// Does what has to be done before the service is ready, however long it takes: the manager is told that it goes on.
    func extendingStart<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        guard self.isListening else { return try await work() }
        return try await withThrowingTaskGroup(of: T?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await work() }
            group.addTask {
                while !Task.isCancelled {
                    await self.send(["EXTEND_TIMEOUT_USEC=\(Self.extensionSeconds * 1_000_000)"])
                    try? await Task.sleep(for: Self.extensionInterval)  // ended early when the work is done
                }
                return nil
            }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    // MARK: - How

    private func enter(_ phase: Phase, saying status: String?) -> Bool {
        self.state.withLock { state in
            // Nothing comes after the end, whoever was late.
            guard state.phase != .stopping else { return false }
            state.phase = phase
            state.status = status ?? ""
            return true
        }
    }

    /// A message is lines; a status is one of them, whatever is in it.
    static func line(_ status: String) -> String {
        var line = "STATUS="
        for scalar in status.unicodeScalars {
            if line.utf8.count > Self.statusLimit {
                line += "…"
                break
            }
            line.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
        }
        return line
    }

    private func send(_ lines: [String]) async {
        guard let socket = self.socket else { return }
        let message = lines.joined(separator: "\n")
        // Never on the cooperative pool: the socket may be full.
        guard let error = try? await Blocking.run({ socket.send(message) }), error != 0 else { return }
        let isFirst = self.state.withLock { state in
            defer { state.hasWarned = true }
            return !state.hasWarned
        }
        guard isFirst else { return }
        self.logger.warning("The service manager cannot be told how Amargo is: \(String(cString: strerror(error)))")
    }
}
