import ArgumentParser
import Foundation
import Glibc
import NIOPosix

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look for whatever keeps Amargo from working on this host, and say what to do about it.",
        discussion: """
            Checks the configuration, the store, its disk, the clock, the registries with their tokens, the running server and the \
            configurations of this host's container engines. It changes nothing, and works beside a running server and without one.

            Each line is ok, a note (worth knowing), a warning (works, but not as it should) or a problem (does not work), and below it \
            stands what to do. Exit codes: 0 all is well or there are notes, 1 warnings, 2 problems, 64 wrong usage.
            """)

    @OptionGroup var options: StoreOptions

    @Option(help: "How the results look: table or json, one object a line.")
    var format = OutputFormat.table

    @Flag(help: "Ask no registry.")
    var offline = false

    @Option(help: "How many seconds a registry or the server may take to answer, 1 to 60.")
    var timeout = 5

    @Option(help: ArgumentHelp("Look for engines' configurations below this folder, as if it were /.", valueName: "folder"))
    var root = ""

    func validate() throws {
        guard (1...60).contains(self.timeout) else {
            throw ValidationError("--timeout must be 1 to 60 seconds, not \(self.timeout).")
        }
        if !self.root.isEmpty {
            var status = stat()
            guard stat(self.root, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw ValidationError("--root must name a folder, and \(self.root) is none.")
            }
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let progress = ProgressBlock()
        let doctor = Doctor(checks: self.checks())
        let diagnoses = await doctor.examine { running, total in
            guard !running.isEmpty else { return progress.end() }
            var groups: [String] = []
            for id in running {
                let group = String(id.prefix { $0 != "." })
                if !groups.contains(group) { groups.append(group) }
            }
            progress.show(["Checking \(groups.joined(separator: ", ")) (\(total - running.count) of \(total) done)"])
        }
        switch self.format {
        case .json: StandardStreams.write(diagnoses.map { "\($0.json)\n" }.joined(), to: STDOUT_FILENO)
        case .table:
            let printer = DoctorPrinter(hasColour: DoctorPrinter.wantsColour(ProcessInfo.processInfo.environment))
            StandardStreams.write(printer.text(diagnoses), to: STDOUT_FILENO)
        }
        guard diagnoses.exitCode == 0 else { throw ExitCode(diagnoses.exitCode) }
    }

    private func checks() -> [any Check] {
        let environment = ProcessInfo.processInfo.environment
        let loader = SettingsLoader(self.options, environment: environment)
        // A file that cannot be used is a finding, and no reason not to look at the rest.
        let settings = try? loader.load().settings
        let known = settings?.repositories.map(\.name) ?? ((try? Settings.builtInRepositories())?.map(\.name) ?? [])
        let user = Self.server(of: settings)
        let now = Int64(time(nil))
        var checks: [any Check] = [
            ConfigurationCheck(loader: loader, user: user), EnvironmentCheck(environment: environment, registries: known),
        ]
        guard let settings else { return checks + [Unchecked()] }
        let origin = settings.origins["store.path"] ?? "default"
        checks += [
            SecretFilesCheck(settings: settings, user: user),
            CertificatesCheck(settings: settings, environment: environment, now: now),
            WatchedFolderCheck(settings: settings, user: user),
            ListenCheck(settings: settings, user: user),
            ServerCheck(settings: settings, seconds: Double(self.timeout)),
            StoreFolderCheck(path: settings.storePath, origin: origin, user: .current),
            StoreHolderCheck(path: settings.storePath, patience: self.timeout),
            StoreContentCheck(path: settings.storePath, now: now),
            MountCheck(path: settings.storePath), SpaceCheck(settings: settings),
            LimitsCheck(storePath: settings.storePath),
        ]
        if self.offline {
            checks.append(Unasked())
        } else {
            checks.append(
                UpstreamsCheck(
                    settings: settings, environment: environment, group: MultiThreadedEventLoopGroup.singleton,
                    patience: .seconds(self.timeout), now: { Int64(time(nil)) }))
        }
        checks.append(EnginesCheck(settings: settings, host: Machine(root: self.root), server: MirrorAddress(settings)))
        return checks
    }

    /// Who serves: the store's owner, for whom root makes way.
    private static func server(of settings: Settings?) -> HostUser {
        var status = stat()
        guard let settings, stat(settings.storePath, &status) == 0 else { return .current }
        return HostUser(id: status.st_uid)
    }
}

/// Says that the rest was not looked at, since the configuration is what says where it is.
struct Unchecked: Check {
    let id = "configuration.rest"

    func diagnoses() async -> [Diagnosis] {
        [
            Diagnosis(
                self.id, .note, "store, registries and engines were not looked at: the configuration is what says where they are")
        ]
    }
}

/// Says that no registry was asked.
struct Unasked: Check {
    let id = "upstreams.registry"

    func diagnoses() async -> [Diagnosis] { [Diagnosis(self.id, .note, "no registry was asked (--offline)")] }
}
