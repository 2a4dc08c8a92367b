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
        subcommands: [ServeCommand.self, ConfigCommand.self, ClientConfigCommand.self])
}
