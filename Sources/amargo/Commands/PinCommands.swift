import ArgumentParser
import Registry

struct PinCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Keep images from being evicted.",
        discussion: """
            What the name stands for stays, with all its stored platforms and what is attached to it. A pin follows its name: when a pinned \
            tag moves on, what it stood for before may go. Works beside a running server and without one. Exit code 1 when an image \
            is not stored.
            """)

    @OptionGroup var options: StoreOptions
    @Option(help: "table or json.") var format = OutputFormat.table
    @Argument(
        help: "Images, such as nginx:1.27 or ghcr.io/org/app@sha256:…; without a tag, latest.", completion: ImageCompletion.kind)
    var images: [String]

    func run() async throws {
        try await StoreCommand.run(
            self.options, role: "pin", format: self.format, request: { .pin(try StoreCommand.names(self.images, $0)) },
            describe: { event in
                guard event.kind == "pinned", let image = event.text("image") else { return nil }
                return event.flag("isNew") ? "Pinned \(image)" : "\(image) was pinned already"
            })
    }
}

struct UnpinCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "unpin", abstract: "Let pinned images be evicted again.")

    @OptionGroup var options: StoreOptions
    @Option(help: "table or json.") var format = OutputFormat.table
    @Argument(help: "Images as they were pinned.", completion: ImageCompletion.kind) var images: [String]

    func run() async throws {
        try await StoreCommand.run(
            self.options, role: "unpin", format: self.format, request: { .unpin(try StoreCommand.names(self.images, $0)) },
            describe: { event in
                guard event.kind == "unpinned", let image = event.text("image") else { return nil }
                return event.flag("was") ? "Unpinned \(image)" : "\(image) was not pinned"
            })
    }
}
