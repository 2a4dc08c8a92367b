import ArgumentParser
import Glibc
import Registry

struct RemoveCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove images from the store.",
        discussion: """
            The name goes, and with the last name of an image its manifests, blobs and what is attached to it, as far as no other stored \
            image uses them. A pinned image has to be unpinned first. The next pull fetches it anew. Works beside a running server and \
            without one. Exit code 1 when an image is not stored or is pinned.
            """)

    @OptionGroup var options: StoreOptions
    @Flag(help: "Only say what would go.") var dryRun = false
    @Option(help: "table or json.") var format = OutputFormat.table
    @Argument(
        help: "Images, such as nginx:1.27 or ghcr.io/org/app@sha256:…; without a tag, latest.", completion: ImageCompletion.kind)
    var images: [String]

    func run() async throws {
        let dryRun = self.dryRun
        try await StoreCommand.run(
            self.options, role: "rm", format: self.format,
            request: { .remove(try StoreCommand.names(self.images, $0), dryRun: dryRun) }, describe: Self.describe)
        if dryRun, self.images.count > 1 {
            StandardStreams.write(
                "note: each image by itself; what they free together says amargo du --without\n", to: STDERR_FILENO)
        }
    }

    private static func describe(_ event: AdminEvent) -> String? {
        guard event.kind == "removed", let image = event.text("image") else { return nil }
        let verb = event.flag("dryRun") ? "Would remove" : "Removed"
        let others = event.list("otherNames")
        if !others.isEmpty { return "\(verb) \(image); its content stays, as \(others.joined(separator: ", "))" }
        let shared = event.number("shared")
        let rest = shared > 0 ? "; \(shared) blob\(shared == 1 ? " stays" : "s stay") for other images" : ""
        let blobs = event.number("blobs")
        return
            "\(verb) \(image): \(blobs) blob\(blobs == 1 ? "" : "s"), \(Quantity.describe(bytes: event.number("bytes")))\(rest)"
    }
}
