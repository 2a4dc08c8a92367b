import Logging
import ServiceLifecycle

/// Tells the service manager's watchdog that this process makes progress, and only while it does: one that hangs is started again.
///
/// What no restart mends does not count: a registry that is slow, a disk that keeps threads waiting.
struct Watchdog<C: Clock>: Service, CustomStringConvertible where C.Duration == Duration {
    /// How often it pings: half of the time after which it is missed.
    let interval: Duration
    let probes: [any ProgressProbe]
    let clock: C
    let logger: Logger
    let ping: @Sendable () async -> Void

    var description: String { "Watchdog" }

    func run() async throws {
        await cancelWhenGracefulShutdown { await self.watch() }
    }

    /// Until its task is cancelled.
    func watch() async {
        var wasStuck = false
        while !Task.isCancelled {
            do {
                try await self.clock.sleep(for: self.interval)
            } catch {
                return  // the end is asked for
            }
            var stuck: [String] = []
            for probe in self.probes {
                if let what = await probe.look() { stuck.append(what) }
            }
            if stuck.isEmpty {
                await self.ping()
            } else if !wasStuck {
                self.logger.critical(
                    "The watchdog is told nothing, so that this process is started again: \(stuck.joined(separator: "; "))")
            }
            wasStuck = !stuck.isEmpty
        }
    }
}
