import ArgumentParser
import Registry

struct CollectCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove what nobody needs, and say what and why.",
        discussion: """
            What goes, in this order: content that belongs to no image and came more than an hour ago; images that nobody has pulled for \
            longer than cache.retainFor; when a cap is passed, whole images, least recently pulled first; partial downloads that nobody \
            has gone on with for a week. Then the journal is compacted. Pinned images stay, and so does what is being read or downloaded. A \
            server does the same by itself when it needs room. Works beside a running server and without one.
            """)

    @OptionGroup var options: StoreOptions
    @Flag(help: "Only say what would go.") var dryRun = false
    @Option(help: "table or json.") var format = OutputFormat.table

    func run() async throws {
        let dryRun = self.dryRun
        try await StoreCommand.run(
            self.options, role: "gc", format: self.format, request: { _ in .collect(dryRun: dryRun) }, describe: Self.describe)
    }

    private static func describe(_ event: AdminEvent) -> String? {
        let size = Quantity.describe(bytes: event.number("bytes"))
        switch event.kind {
        case "goes", "wouldGo":
            let names = event.list("names")
            let more = names.count > 1 ? " and \(names.count - 1) more names" : ""
            let what = names.first.map { "\($0)\(more) (\(event.text("digest") ?? ""))" } ?? event.text("digest") ?? ""
            return
                "\(event.kind == "goes" ? "Removed" : "Would remove") \(what): \(Self.reason(event)), \(event.number("blobs")) blobs, \(size)"
        case "leftover": return "\(event.text("file") ?? ""): \(event.text("why") ?? ""), \(size)"
        case "untouchable": return "\(event.number("images")) images are pinned or in use and stay"
        case "collected":
            let verb = event.flag("dryRun") ? "Would free" : "Freed"
            let journal = event.number("journalBefore") - event.number("journalAfter")
            return
                "\(verb) \(size): \(event.number("images")) images, \(event.number("blobs")) blobs, \(event.number("files")) other files"
                + (journal > 0 ? "; the journal is \(Quantity.describe(bytes: journal)) smaller" : "")
                + (event.flag("interrupted") ? "; interrupted, since a server wants to start: run it again" : "")
        default: return nil
        }
    }

    private static func reason(_ event: AdminEvent) -> String {
        switch event.text("why") {
        case "orphan": "belongs to no image"
        case "unused": "not pulled since \(Quantity.date(event.number("lastUse")))"
        default: "least recently pulled (\(Quantity.date(event.number("lastUse"))))"
        }
    }
}
