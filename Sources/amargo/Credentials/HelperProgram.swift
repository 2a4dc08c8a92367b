import Foundation

/// A small program that is given a line and says something, within a limit of time.
///
/// By `posix_spawn` itself: Foundation's `Process` reads `/proc/self/fd` into a buffer of its own before it starts anything, and falls
/// when other threads open files meanwhile.
struct HelperProgram {
    let path: String
    let arguments: [String]
    /// How long it may take.
    let limit: Duration

    /// Bytes of what it says; more is not read.
    private static let outputLimit = 64 << 10

    struct Outcome {
        /// What it said on standard output.
        let output: Data
        /// Its exit status; nil when it was ended by a signal, ours or another.
        let status: Int32?
    }

    /// Runs it to its end. Blocks.
    ///
    /// - Throws: `SettingsError` when it cannot be started.
    func run(input: String) throws -> Outcome {
        let (toProgram, fromProgram) = (try PrivatePipe(), try PrivatePipe())
        let pid = try self.spawn(reading: toProgram.reader, writing: fromProgram.writer)
        let deadline = ContinuousClock.now + self.limit
        // It may have ended without reading: what it says decides.
        try? toProgram.writer.write(contentsOf: Data(input.utf8))
        for end in [toProgram.reader, toProgram.writer, fromProgram.writer] { try? end.close() }
        let output = Self.read(fromProgram.reader, until: deadline)
        return Outcome(output: output, status: Self.end(pid, at: deadline))
    }

    private func spawn(reading input: FileHandle, writing output: FileHandle) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.fileDescriptor, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output.fileDescriptor, STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own, so that what it has started ends with it; and signals as a new program expects them.
        var none = sigset_t()
        sigemptyset(&none)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var words = ([self.path] + self.arguments).map { strdup($0) } + [nil]
        var environment = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + environment { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, self.path, &actions, &attributes, &words, &environment)
        guard code == 0 else { throw SettingsError("\(self.path) cannot be started: \(String(cString: strerror(code)))") }
        return pid
    }

    /// What comes until the other end is closed, there is too much of it, or the time is over.
    private static func read(_ file: FileHandle, until deadline: ContinuousClock.Instant) -> Data {
        var data = Data()
        var buffer = [UInt8](repeating: 0, count: 4096)
        while data.count < self.outputLimit {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { break }
            var waiting = pollfd(fd: file.fileDescriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, Int32(min(left / .milliseconds(1), 60_000)) + 1) > 0 else { continue }
            let count = Foundation.read(file.fileDescriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            data.append(contentsOf: buffer[..<count])
        }
        return data
    }

    /// Waits for the end, and brings it about when the time is over.
    private static func end(_ pid: pid_t, at deadline: ContinuousClock.Instant) -> Int32? {
        var status: CInt = 0
        var isKilled = false
        while true {
            let ended = waitpid(pid, &status, isKilled ? 0 : WNOHANG)
            if ended == pid { break }
            if ended < 0, errno != EINTR { return nil }
            if isKilled { continue }
            if ContinuousClock.now >= deadline {
                kill(-pid, SIGKILL)
                isKilled = true
            } else {
                usleep(5_000)
            }
        }
        // What it left behind holds nothing of ours, but is nobody's.
        kill(-pid, SIGKILL)
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : nil
    }

    /// A pipe whose ends no other program inherits: one that is started at the same moment would keep it open.
    private struct PrivatePipe {
        let reader: FileHandle
        let writer: FileHandle

        init() throws {
            var ends: [CInt] = [0, 0]
            guard pipe(&ends) == 0 else {
                throw SettingsError("a pipe cannot be made: \(String(cString: strerror(errno)))")
            }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            self.reader = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
            self.writer = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
        }
    }
}
