import Glibc
import OCI
import Registry
import Synchronization

/// What an import says: an image a line on standard output, what went wrong on standard error, and how far it is when that is a terminal.
final class ImportPrinter: Sendable {
    private let format: OutputFormat
    private let settings: Settings
    private let showsProgress: Bool
    /// Whether a line of progress stands on the terminal.
    private let isShowing = Mutex(false)
    /// Registries and bundles that something was said about once.
    private let said = Mutex<Set<String>>([])

    init(format: OutputFormat, settings: Settings) {
        self.format = format
        self.settings = settings
        self.showsProgress = isatty(STDERR_FILENO) == 1
    }

    @Sendable func receive(_ event: AdminEvent) {
        if event.kind == "progress" { return self.show(event) }
        self.clearProgress()
        switch event.kind {
        case "error": StandardStreams.complain(event.text("message") ?? "it failed without saying why")
        case "note": StandardStreams.write("note: \(event.text("message") ?? "")\n", to: STDERR_FILENO)
        default:
            if self.format == .json {
                StandardStreams.write("\(event.json)\n", to: STDOUT_FILENO)
            } else if let problem = Self.problem(event) {
                StandardStreams.complain(problem)
            } else if let line = Self.line(event) {
                StandardStreams.write("\(line)\n", to: STDOUT_FILENO)
            }
        }
        if event.kind == "image" { self.explain(event) }
    }

    // MARK: - Words

    /// Why an image was not taken.
    private static func problem(_ event: AdminEvent) -> String? {
        guard event.kind == "image", let image = event.text("image") else { return nil }
        let faults = event.list("faults")
        let list = faults.prefix(3).joined(separator: ", ") + (faults.count > 3 ? " and \(faults.count - 3) more" : "")
        switch event.text("outcome") {
        case "incomplete": return "\(image) is not imported: neither the bundle nor the store has \(list)"
        case "damaged": return "\(image) is not imported: the bundle is damaged, what it has as \(list) is something else"
        default: return nil
        }
    }

    private static func line(_ event: AdminEvent) -> String? {
        switch event.kind {
        case "image":
            guard let image = event.text("image") else { return nil }
            switch event.text("outcome") {
            case "imported": return "Imported \(image)\(Self.platforms(event)): \(Self.size(event))"
            case "planned": return "Would import \(image)\(Self.platforms(event)): \(Self.size(event))"
            case "unchanged": return "\(image) is there already"
            case "older": return "\(image) stays as it is: what the store has by that name is newer than the bundle"
            default: return nil
            }
        case "imported":
            let done = event.number("done")
            let failed = event.number("failed")
            let verb = event.flag("dryRun") ? "Would take in" : "Took in"
            return
                "\(verb) \(done) image\(done == 1 ? "" : "s"), \(Quantity.describe(bytes: event.number("newBytes"))) of new content"
                + (failed > 0 ? "; \(failed) failed" : "")
        default: return nil
        }
    }

    private static func platforms(_ event: AdminEvent) -> String {
        let here = event.list("platforms").filter { $0 != "unknown/unknown" }
        let absent = event.list("absentPlatforms").filter { $0 != "unknown/unknown" }
        guard !here.isEmpty || !absent.isEmpty else { return "" }
        return VisibleText.escaped(
            " (\(here.joined(separator: ", "))\(absent.isEmpty ? "" : "; without \(absent.joined(separator: ", "))"))")
    }

    private static func size(_ event: AdminEvent) -> String {
        let (bytes, new) = (event.number("bytes"), event.number("newBytes"))
        let blobs = event.number("blobs")
        let start = "\(blobs) blob\(blobs == 1 ? "" : "s"), \(Quantity.describe(bytes: bytes))"
        return bytes == new ? start : "\(start), \(Quantity.describe(bytes: new)) of it new"
    }

    /// What somebody has to know who wonders why a pull does not find it.
    private func explain(_ event: AdminEvent) {
        let outcome = event.text("outcome")
        guard outcome == "imported" || outcome == "planned", let registry = event.text("registry") else { return }
        let isServed = self.settings.repositories.contains { $0.namespaces.contains { $0.description == registry } }
        if !isServed, self.isNews("registry \(registry)") {
            StandardStreams.write(
                """
                note: \(registry) is not among the configured registries: its images are stored, and served once it is, such as by
                note:   repositories: {NAME: {upstream: "https://\(registry)", namespaces: ["\(registry)"]}}

                """, to: STDERR_FILENO)
        }
        if event.flag("newDigest"), self.isNews("digests") {
            StandardStreams.write(
                "note: images of docker save archives get new digests: such an archive has neither their manifests nor their compressed layers\n",
                to: STDERR_FILENO)
        }
    }

    private func isNews(_ text: String) -> Bool { self.said.withLock { $0.insert(text).inserted } }

    // MARK: - Progress

    private func show(_ event: AdminEvent) {
        guard self.showsProgress else { return }
        self.isShowing.withLock { $0 = true }
        let (bytes, total) = (event.number("bytes"), event.number("totalBytes"))
        let milliseconds = max(1, event.number("milliseconds"))
        var text = event.text("stage") == "reading" ? "Reading: " : ""
        text += Quantity.describe(bytes: bytes)
        if total > 0 {
            text += " of \(Quantity.describe(bytes: total)), \(min(100, Int64(Double(bytes) / Double(total) * 100))) %"
        }
        if milliseconds > 500, bytes > 0 {
            let rate = Double(bytes) / Double(milliseconds)  // kB/s
            text += ", \(Int64(rate / 1000)) MB/s"
            if total > bytes {
                let left = Double(total - bytes) / rate / 1000
                text += ", \(VerificationPrinter.describe(seconds: Int64(left.rounded(.up)))) left"
            }
        }
        StandardStreams.write("\r\(text)\u{1B}[K", to: STDERR_FILENO)
    }

    private func clearProgress() {
        let isShowing = self.isShowing.withLock { showing in
            defer { showing = false }
            return showing
        }
        if isShowing { StandardStreams.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }
}
