import ArgumentParser
import Glibc
import OCI
import PullThrough
import Registry
import Storage

struct StatsCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Say how well the cache serves: pulls, hits, and what was saved.",
        discussion: """
            A pull is a manifest of an image that a client was sent. HITS came from the store, also those that a registry confirmed first; \
            COLLAPSED from a download that somebody else had begun; STALE is a stored tag that its registry could not confirm; MISSES were \
            asked for. The ratio is of answers that nothing had to be fetched for. SAVED is what was served beyond what came from \
            registries: images that were warmed and not pulled yet make it less, never less than nothing.
            The last hour is counted in steps of five minutes, the last day of an hour, the last week of six hours. Up to 1,000 repositories \
            are counted by themselves, and those that had no traffic for longest together as others. Counts survive restarts; a kill loses \
            those of the last minute.
            """)

    @OptionGroup var options: StoreOptions
    @Option(help: "table, or json: one object a line for each window and registry and repository.") var format = OutputFormat
        .table
    @Option(help: "The tables by registry and repository are of the last hour, day or week, or of all; with json, only this.")
    var window: TrafficWindow?
    @Option(help: "So many repositories are named in the table; 0 is all.") var top = 10

    func validate() throws {
        guard self.top >= 0 else { throw ValidationError("--top is a number of repositories, 0 or more.") }
    }

    func run() async throws {
        do {
            let settings = try StoreOwner.settings(self.options)
            let printer = StatisticsPrinter(try await Blocking.run { try Self.events(settings) })
            switch self.format {
            case .table: for line in printer.table(self.window ?? .week, limit: self.top) { print(line) }
            case .json: for line in printer.json(self.window.map { [$0] } ?? TrafficWindow.allCases) { print(line) }
            }
        } catch {
            throw Failure.report(error)
        }
    }

    /// What the server says that has the store; without one, what the last one has written.
    private static func events(_ settings: Settings) throws -> [AdminEvent] {
        let root = try StoreDoor(settings: settings).existingRoot()
        do {
            if let events = try RunningServer(root)?.ask(.statistics(TrafficWindow.allCases)) { return events }
        } catch is AdminClient.Failure {
            // It has ended meanwhile, and has written what it counted.
        }
        let report: TrafficReport
        do {
            report = try TrafficKeeper.report(in: root, at: Int64(time(nil)))
        } catch let error as JSONError {
            throw StorageError(
                .unusable,
                "\(settings.storePath)/\(StoreLayout.statistics) cannot be read: it \(error); the next `amargo serve` begins anew"
            )
        }
        return [.statistics(report)] + TrafficWindow.allCases.flatMap { AdminEvent.traffic(report, in: $0) }
    }
}

extension TrafficWindow: ExpressibleByArgument {}
