import ArgumentParser
import Glibc
import PullThrough
import Registry
import Storage

struct TopCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch the running server: what it serves, downloads and saves.",
        discussion: """
            In place on a terminal, until ^C; elsewhere, and with --once, one look, which takes an interval. Downloads are shown with their speed and \
            how many clients wait for them; registries once they have been asked. A server that ends is waited for.
            """)

    @OptionGroup var options: StoreOptions
    @Option(help: "Seconds between two looks: 0.2 to 60.") var interval = 1.0
    @Flag(help: "One look, and the end.") var once = false

    func validate() throws {
        guard (0.2...60).contains(self.interval) else { throw ValidationError("--interval is 0.2 to 60 seconds.") }
    }

    func run() async throws {
        do {
            let settings = try StoreOwner.settings(self.options)
            let block = ProgressBlock(on: STDOUT_FILENO)
            let root = try StoreDoor(settings: settings).existingRoot()
            if self.once || !block.isActive {
                try await self.lookOnce(root, settings)
            } else {
                // ^C is how it ends.
                do {
                    try await Interruption.cancelling { try await self.watch(root, block) }
                } catch is CancellationError {}
            }
        } catch {
            throw Failure.report(error)
        }
    }

    private func lookOnce(_ root: StoreRoot, _ settings: Settings) async throws {
        guard let server = try await Blocking.run({ try RunningServer(root) }) else {
            throw StorageError(.notFound, "no server has the store \(settings.storePath); start one with amargo serve")
        }
        let before = try await Self.look(server)
        try await Task.sleep(for: .seconds(self.interval))
        let (now, statistics) = (try await Self.look(server), try await Self.statistics(server))
        for line in TopScreen(now, before: before, statistics: statistics).lines(bars: Self.bars) { print(line) }
    }

    /// Shows one look after the other until it is cancelled.
    private func watch(_ root: StoreRoot, _ block: ProgressBlock) async throws {
        var server: RunningServer?
        var before: TopScreen.Look?
        while true {
            do {
                if server == nil { server = try await Blocking.run { try RunningServer(root) } }
                if let server {
                    let (now, statistics) = (try await Self.look(server), try await Self.statistics(server))
                    let screen = TopScreen(now, before: before, statistics: statistics)
                    block.show(Array(screen.lines(bars: Self.bars).prefix(block.height)))
                    before = now
                } else {
                    block.show(["No server has the store \(root.path); waiting for amargo serve"])
                }
            } catch is AdminClient.Failure {
                server = nil
            } catch let error as StorageError where error.code == .inUse {
                block.show(["\(error)"])
                server = nil
            }
            // The last picture stays on the terminal.
            try await Task.sleep(for: .seconds(self.interval))
        }
    }

    private static func look(_ server: RunningServer) async throws -> TopScreen.Look {
        TopScreen.Look(try await Self.ask(server, .activity))
    }

    private static func statistics(_ server: RunningServer) async throws -> [AdminEvent] {
        try await Self.ask(server, .statistics([.hour]))
    }

    private static func ask(_ server: RunningServer, _ request: AdminRequest) async throws -> [AdminEvent] {
        guard let events = try await Blocking.run({ try server.ask(request) }) else {
            throw StorageError(
                .unusable, "the running server does not know this question: it is of another version; restart it with this one")
        }
        return events
    }

    /// Blocks where the terminal has them.
    private static var bars: (full: String, empty: String) {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"]
        let locale = names.lazy.compactMap { name in getenv(name).map { String(cString: $0) } }.first { !$0.isEmpty }
        let isUnicode = locale.map { $0.lowercased().contains("utf") } ?? false
        return isUnicode ? ("█", "░") : ("#", ".")
    }
}
