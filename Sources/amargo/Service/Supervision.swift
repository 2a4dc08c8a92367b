import Glibc

/// What a service manager has told the process that it started: sd_notify(3), sd_watchdog_enabled(3).
struct Supervision: Sendable, Hashable {
    /// Where it wants to hear from this process; nil when it does not.
    var socket: NotifySocket?
    /// How long this process may be silent before it is taken for hung; nil for ever.
    var watchdog: Duration?

    /// Its variables. They are for this process and not for those that it starts.
    static let variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    init(environment: [String: String], pid: pid_t = getpid()) {
        self.socket = environment["NOTIFY_SOCKET"].flatMap(NotifySocket.init)
        // Somebody else's watchdog, inherited by way of a shell.
        if let text = environment["WATCHDOG_PID"], !text.isEmpty, text != String(pid) { return }
        guard self.socket != nil, let microseconds = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), microseconds > 0 else {
            return
        }
        self.watchdog = .microseconds(microseconds)
    }

    /// Nobody watches.
    init() {}

    /// Takes the variables out of the environment. On the main thread, while it is alone: others may read the environment.
    static func take(from environment: [String: String]) -> Supervision {
        let supervision = Supervision(environment: environment)
        for name in self.variables { unsetenv(name) }
        return supervision
    }
}
