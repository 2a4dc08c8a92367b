import ArgumentParser
import Foundation
import OCI
import PullThrough
import Registry
import Storage
import Synchronization
import Upstream

struct WarmCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "warm",
        abstract: "Bring images into the store before anybody pulls them.",
        discussion: """
            What is stored already is not fetched again; a tag is asked for anew when its time (cacheTtl) is over. Works through a running \
            server, with its registries and credentials, and without one, with those of the configuration.

            --from-file takes a plain list (one name a line, # begins a comment), Kubernetes manifests or a Compose file, of which it finds \
            every image; - is standard input. Interrupted, it keeps what it has, and goes on from there the next time.

            Exit codes: 0 all images are stored, 1 some are not, 2 none is or the store cannot be used, 64 wrong usage, 78 wrong \
            configuration, 130 interrupted.
            """)

    @OptionGroup var options: StoreOptions

    @Option(
        name: .customLong("from-file"),
        help: ArgumentHelp(
            "A file that names images: a list, Kubernetes manifests or a Compose file; - is standard input.", valueName: "list"),
        completion: .file())
    var files: [String] = []

    @Option(help: "Which platforms of a multi-platform image: linux/amd64,linux/arm64. Else this machine's.")
    var platform: String?

    @Flag(help: "All platforms, and attestations.")
    var allPlatforms = false

    @Flag(help: "Also what refers to the images: signatures, attestations, bills of materials.")
    var withReferrers = false

    @Option(help: "How many images, and how many layers, at a time.")
    var jobs = WarmRequest.usualJobs

    @Option(help: "table, lines for people, or json, one object a line.")
    var format = OutputFormat.table

    @Argument(
        help: "Images, such as nginx:1.27 or ghcr.io/org/app@sha256:…; without a tag, latest.", completion: ImageCompletion.kind)
    var images: [String] = []

    func validate() throws {
        guard !self.images.isEmpty || !self.files.isEmpty else {
            throw ValidationError("Name at least one image, or a file with --from-file.")
        }
        guard (1...WarmRequest.jobsLimit).contains(self.jobs) else {
            throw ValidationError("--jobs must be between 1 and \(WarmRequest.jobsLimit), not \(self.jobs).")
        }
        if self.allPlatforms, self.platform != nil { throw ValidationError("--platform chooses what --all-platforms takes.") }
        _ = try PlatformOption.selection(self.platform, all: self.allPlatforms)
    }

    // MARK: - What only the caller may read

    private struct Prepared {
        let settings: Settings
        let list: ImageList
        let upstreams: Result<[String: UpstreamConfiguration], any Error>
    }

    /// A command's value is made of its arguments alone; the process has one command.
    private static let prepared = Mutex<Prepared?>(nil)

    func prepare() throws {
        do {
            let settings = try SettingsLoader(self.options).load().settings
            let environment = ProcessInfo.processInfo.environment
            var list = ImageList()
            for file in self.files {
                let name = file == "-" ? "standard input" : file
                let part = try ImageList(try ListFile.read(file), source: name, environment: environment)
                list.entries += part.entries
                list.problems += part.problems
                list.remarks += part.remarks
            }
            // A server that runs has its own; they are needed only where there is none.
            let upstreams = Result { try settings.upstreams(environment: environment) }
            try StoreOwner.become(ofFolder: settings.storePath)
            Self.prepared.withLock { $0 = Prepared(settings: settings, list: list, upstreams: upstreams) }
        } catch {
            throw Self.report(error)
        }
    }

    /// Whatever keeps the command from doing anything is "none".
    private static func report(_ error: any Error) -> any Error {
        if error is ExitCode { return error }
        let reported = Failure.report(error)
        return (reported as? ExitCode) == ExitCode.failure ? ExitCode(2) : reported
    }

    // MARK: - The work

    func run() async throws {
        guard let prepared = Self.prepared.withLock({ $0.take() }) else { return }
        signal(SIGPIPE, SIG_IGN)
        do {
            let (names, problems) = try self.names(prepared)
            let printer = WarmPrinter(format: self.format)
            for remark in prepared.list.remarks { printer.say(remark) }
            for problem in problems { printer.complain(problem) }
            let code = names.isEmpty ? 2 : try await self.bring(names, prepared, printer)
            guard code == 0, problems.isEmpty else {
                throw ExitCode(Int32(names.isEmpty || code == 2 ? 2 : max(code, 1)))
            }
        } catch is CancellationError {
            StandardStreams.complain("interrupted; what has come is kept, and the next run goes on from there")
            throw ExitCode(128 + SIGINT)
        } catch {
            throw Self.report(error)
        }
    }

    /// The full names, each once, and what is none.
    private func names(_ prepared: Prepared) throws -> (names: [String], problems: [String]) {
        var names = try StoreCommand.names(self.images, prepared.settings)
        var problems = prepared.list.problems
        for entry in prepared.list.entries {
            do {
                names += try StoreCommand.names([entry.name], prepared.settings)
            } catch let error as ValidationError {
                problems.append("\(entry.place): \(error.message)")
            }
        }
        var seen: Set<String> = []
        names = names.filter { seen.insert($0).inserted }
        if names.isEmpty, problems.isEmpty { problems.append("\(self.files.joined(separator: ", ")) names no image") }
        guard names.count <= Limits.Warming.images else {
            throw ListError("\(names.count) images are too many for one run; bring at most \(Limits.Warming.images) at a time")
        }
        return (names, problems)
    }

    private func bring(_ names: [String], _ prepared: Prepared, _ printer: WarmPrinter) async throws -> Int {
        let request = AdminRequest.warm(
            WarmRequest(
                images: names, platforms: try PlatformOption.selection(self.platform, all: self.allPlatforms),
                withReferrers: self.withReferrers, jobs: self.jobs))
        let upstreams = prepared.upstreams
        let door = StoreDoor(settings: prepared.settings, upstreams: { try upstreams.get() })
        let gaveWay = Atomic<Bool>(false)
        let wasEnded = Atomic<Bool>(false)
        let hasBegun = Atomic<Bool>(false)
        return try await Interruption.cancelling {
            while true {
                let code: Int
                do {
                    code = try await door.perform(request, role: "warm") { event in
                        if event.kind == "warmSummary" { hasBegun.store(true, ordering: .relaxed) }
                        if event.kind == "warmSummary", event.flag("gaveWay") {
                            gaveWay.store(true, ordering: .relaxed)
                        } else {
                            if event.kind == "warmSummary", event.number("interrupted") > 0 {
                                wasEnded.store(true, ordering: .relaxed)
                            }
                            printer.print(event)
                        }
                    }
                } catch {
                    printer.end()
                    throw error
                }
                try Task.checkCancellation()
                // A server has started meanwhile: it goes on, and has what is here already.
                guard gaveWay.exchange(false, ordering: .relaxed) else {
                    printer.end()
                    if wasEnded.load(ordering: .relaxed) {
                        printer.complain("the server is stopping, and the run with it; run it again to go on")
                    }
                    // Where the store takes nothing, or its holder knows no such request, nothing was brought.
                    return hasBegun.load(ordering: .relaxed) ? code : 2
                }
                printer.say("A server wants the store; going on through it")
            }
        }
    }
}

/// `--platform` as commands take it.
enum PlatformOption {
    static func selection(_ text: String?, all: Bool = false) throws -> PlatformSelection {
        if all { return .all }
        guard let text else { return .own }
        let platforms = try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            let part = part.filter { $0 != " " }
            guard let platform = Platform(parsing: part) else {
                throw ValidationError("--platform must be os/architecture, such as linux/amd64,linux/arm64/v8, not \"\(text)\".")
            }
            return platform
        }
        return PlatformSelection(platforms)
    }
}
