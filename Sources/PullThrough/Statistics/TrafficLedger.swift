import OCI
import Synchronization

/// How well the cache has served: counts by registry and repository, of the last hour, day and week and in all.
///
/// Requests add to cells (`TrafficCell`), which know no time. What they have counted since the last look is taken from them and put into the
/// buckets of that moment (`roll`), every ten seconds and before each report.
package final class TrafficLedger: Sendable {
    /// Repositories that are counted by themselves. Beyond them, those that had no traffic for longest are counted together.
    static let repositoryLimit = 1_000

    package let recentPulls = RecentPulls()

    /// Whose traffic a series is.
    package struct Scope: Hashable, Sendable {
        /// The registry's name in the configuration; nil for all together.
        package let upstream: String?
        /// Nil for a registry as a whole.
        package let repository: QualifiedRepository?
        /// What is left of a registry when the repositories with a series of their own are taken away.
        package let isOthers: Bool

        init(upstream: String?, repository: QualifiedRepository? = nil, isOthers: Bool = false) {
            self.upstream = upstream
            self.repository = repository
            self.isOthers = isOthers
        }

        package static let everything = Scope(upstream: nil)
    }

    struct State {
        /// Unix seconds since when there are counts; 0 before the first.
        var since: Int64 = 0
        /// Of repositories and others only: the rest is their sum.
        var series: [Scope: TrafficSeries] = [:]
        /// Of all together, finer.
        var fine = TrafficSeries(TrafficSeries.Tier.fine)
    }

    private struct Shared {
        var upstreams: [String: UpstreamTraffic] = [:]
        var state = State()
        /// What the cells had counted at the last look.
        var seen: [ObjectIdentifier: TrafficCounts] = [:]
        var hasChanged = false
    }

    private let shared = Mutex(Shared())

    package init() {}

    /// The traffic of a registry, by its name in the configuration: the same one across reloads.
    package func upstream(_ name: String) -> UpstreamTraffic {
        self.shared.withLock { shared in
            if let known = shared.upstreams[name] { return known }
            let made = UpstreamTraffic(name)
            shared.upstreams[name] = made
            return made
        }
    }

    /// Every registry that was in force since this process began.
    package var upstreams: [UpstreamTraffic] {
        self.shared.withLock { Array($0.upstreams.values) }.sorted { $0.name < $1.name }
    }

    /// Goes on from what an earlier process has left.
    func restore(_ state: State) {
        self.shared.withLock { shared in
            shared.state.since = state.since
            for (scope, series) in state.series { shared.state.series[scope] = series }
            shared.state.fine = state.fine
        }
    }

    /// Takes what the cells have counted since the last look. Not for event loops.
    ///
    /// - Parameter now: Unix seconds.
    package func roll(at now: Int64) {
        self.shared.withLock { shared in
            if shared.state.since == 0 { shared.state.since = now }
            var sum = TrafficCounts()
            for upstream in shared.upstreams.values {
                for cell in upstream.allCells {
                    let counts = cell.counts
                    let key = ObjectIdentifier(cell)
                    let news = counts - (shared.seen[key] ?? TrafficCounts())
                    if news.isZero { continue }
                    shared.seen[key] = counts
                    shared.hasChanged = true
                    sum += news
                    let scope = Scope(upstream: upstream.name, repository: cell.repository, isOthers: cell.repository == nil)
                    shared.state.series[scope, default: TrafficSeries(TrafficSeries.Tier.plain)].add(news, at: now)
                }
            }
            shared.state.fine.add(sum, at: now)
            Self.shrink(&shared, at: now)
        }
    }

    /// Counts together what has had no traffic for longest, when there is too much.
    private static func shrink(_ shared: inout Shared, at now: Int64) {
        let surplus = shared.state.series.count - Self.repositoryLimit
        guard surplus > 0 else { return }
        let oldest = shared.state.series.filter { $0.key.repository != nil }
            .sorted {
                ($0.value.lastChange, $0.key.repository?.description ?? "") < (
                    $1.value.lastChange, $1.key.repository?.description ?? ""
                )
            }
            // A tenth more, so that this is not done each time.
            .prefix(surplus + Self.repositoryLimit / 10)
        for (scope, series) in oldest {
            guard let name = scope.upstream, let repository = scope.repository else { continue }
            var series = series
            if let upstream = shared.upstreams[name] {
                let cell = upstream.known(repository)
                if let counts = upstream.retire(repository) {
                    series.add(counts - (shared.seen.removeValue(forKey: ObjectIdentifier(cell)) ?? TrafficCounts()), at: now)
                }
            }
            shared.state.series[scope] = nil
            let others = Scope(upstream: name, isOthers: true)
            shared.state.series[others, default: TrafficSeries(TrafficSeries.Tier.plain)].merge(series)
        }
    }

    /// The state to be kept, if it has changed since the last call.
    func takeChanges() -> State? {
        self.shared.withLock { shared in
            guard shared.hasChanged else { return nil }
            shared.hasChanged = false
            return shared.state
        }
    }

    /// It could not be kept: the next call of `takeChanges` gives it again.
    func keepChanges() { self.shared.withLock { $0.hasChanged = true } }

    /// What is to be reported at this moment. Not for event loops.
    package func report(at now: Int64) -> TrafficReport {
        self.roll(at: now)
        return TrafficReport(self.shared.withLock { $0.state }, at: now)
    }
}
