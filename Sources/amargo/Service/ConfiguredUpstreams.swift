import Logging
import PullThrough
import ServiceLifecycle
import Synchronization
import Upstream

/// The registries in force, and the clients of those that a reload has replaced: each is shut down when the last answer, download or
/// list that uses it has ended.
///
/// Who uses a client holds it; so a client that nobody but this table holds is used by nobody, and can be by nobody any more.
final class ConfiguredUpstreams: Service {
    private struct State {
        var current: UpstreamBindings
        var retired: [RegistryClient] = []
    }

    private static let interval = Duration.seconds(1)

    private let state: Mutex<State>
    private let logger: Logger

    init(_ bindings: UpstreamBindings, logger: Logger) {
        self.state = Mutex(State(current: bindings))
        self.logger = logger
    }

    var directory: UpstreamDirectory { self.state.withLock { $0.current.directory } }

    /// Whose names need no registry in front.
    var fallback: UpstreamBinding? { self.state.withLock { $0.current.fallback } }

    /// How each registry is asked, by its name.
    var configurations: [String: UpstreamConfiguration] { self.state.withLock { $0.current.configurations } }

    /// Clients that no configuration in force has any more and that are still in use.
    var retiredCount: Int { self.state.withLock { $0.retired.count } }

    /// Puts other registries in force.
    ///
    /// - Parameter make: is given those in force now.
    /// - Returns: the names of the registries that are asked by another client than before, or no longer.
    func replace(_ make: (UpstreamBindings) -> UpstreamBindings) -> [String] {
        self.state.withLock { state in
            let bindings = make(state.current)
            let retired = state.current.clients(besides: bindings)
            state.retired += retired
            state.current = bindings
            return retired.map(\.configuration.name)
        }
    }

    /// Shuts down what nobody uses any more.
    func collect() async {
        let unused = self.state.withLock { state in
            var unused: [RegistryClient] = []
            for index in state.retired.indices.reversed() where isKnownUniquelyReferenced(&state.retired[index]) {
                unused.append(state.retired.remove(at: index))
            }
            return unused
        }
        for client in unused {
            await client.shutdown()
            self.logger.debug("[\(client.configuration.name)] The connections of its former configuration are closed")
        }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)  // ended early when the end is asked for
                await self.collect()
            }
        }
    }

    /// Closes all connections, in use or not. Nothing may be asked afterwards.
    func shutdown() async {
        let (current, retired) = self.state.withLock { state in
            defer { state.retired = [] }
            return (state.current, state.retired)
        }
        await current.shutdown()
        for client in retired { await client.shutdown() }
    }
}

extension UpstreamBindings {
    fileprivate var configurations: [String: UpstreamConfiguration] {
        Dictionary(self.all.map { ($0.name, $0.client.configuration) }) { first, _ in first }
    }
}
