import ArgumentParser
import Upstream

@main
struct Amargo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "amargo",
        abstract: "A cache for container images, between container engines and public registries.",
        discussion: """
            Start a mirror of Docker Hub on 127.0.0.1:3000 with `amargo serve`, and name it in the engine's configuration. \
            Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.
            """,
        version: "amargo \(UserAgent.version)",
        subcommands: [
            ServeCommand.self, ListCommand.self, DiskUsageCommand.self, PinCommand.self, UnpinCommand.self, RemoveCommand.self,
            CollectCommand.self,
            VerifyCommand.self, WarmCommand.self, HasCommand.self, ExportCommand.self, ReceiptCommand.self, ImportCommand.self,
            StatsCommand.self, TopCommand.self, DoctorCommand.self, ConfigCommand.self, ClientConfigCommand.self,
        ])

    /// Runs the command; what has to be done as root is done first, while this is still the main thread.
    ///
    /// The main thread ends, as far as the C library is concerned, at the first wait: a user id that is taken later reaches every thread
    /// but that one, and the process would still be called root's.
    static func main() async {
        StandardStreams.open()
        StandardStreams.watchOutput()
        do {
            // Wrong arguments are reported below.
            if let command = try? self.parseAsRoot(), let user = command as? any StoreUser { try user.prepare() }
        } catch {
            self.exit(withError: error)
        }
        await self.main(nil)
    }
}
