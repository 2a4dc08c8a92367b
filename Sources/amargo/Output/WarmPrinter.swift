import Glibc
import OCI
import PullThrough
import Registry
import Synchronization

/// What comes of each image on standard output, a line each; how far it is, on standard error when that is a terminal.
final class WarmPrinter: Sendable {
    private let format: OutputFormat
    private let block = ProgressBlock()
    private let said = Mutex(Said())

    private struct Said {
        /// Images whose end was told, so that a run that goes on elsewhere does not tell it again.
        var ended: Set<String> = []
        var bytes: Int64 = 0
        var recent = TransferRate()
    }

    init(format: OutputFormat) {
        self.format = format
    }

    func say(_ sentence: String) { self.block.above { StandardStreams.write("\(sentence)\n", to: STDERR_FILENO) } }

    func complain(_ sentence: String) { self.block.above { StandardStreams.complain(sentence) } }

    func end() { self.block.end() }

    @Sendable func print(_ event: AdminEvent) {
        switch event.kind {
        case "error": self.complain(event.text("message") ?? "it failed without saying why")
        case "progress": self.progress(event)
        case "warming":
            if !self.block.isActive, self.format == .table { self.say("Bringing \(event.text("image") ?? "")") }
        case "note": self.say("\(event.text("image") ?? ""): \(event.text("message") ?? "")")
        case "warmed", "warmFailed":
            let isNews = self.said.withLock { $0.ended.insert(event.text("image") ?? "").inserted }
            if isNews { self.ended(event) }
        case "warmSummary":
            self.block.end()
            self.out(self.format == .json ? event.json : Self.summary(event))
        default: break
        }
    }

    private func out(_ line: String) { self.block.above { StandardStreams.write("\(line)\n", to: STDOUT_FILENO) } }

    private func ended(_ event: AdminEvent) {
        // What stands there is older than this; the next look shows what is left.
        self.block.end()
        if self.format == .json { return self.out(event.json) }
        if event.kind == "warmed" { self.out(Self.line(event)) } else { self.complain(Self.failure(event)) }
    }

    // MARK: - Words

    static func line(_ event: AdminEvent) -> String {
        let blobs = event.number("blobs")
        let fetched = event.number("fetchedBlobs")
        let platforms = event.list("platforms").filter { $0 != "unknown/unknown" }.map(VisibleText.escaped)
        let referrers = event.number("referrers")
        var what = platforms.isEmpty ? "" : " (\(platforms.joined(separator: ", ")))"
        if referrers > 0 { what += ", with \(Self.count(referrers, "referrer"))" }
        let name = event.text("image") ?? ""
        guard fetched > 0 || event.number("fetchedManifests") > 0 else {
            return "\(name)\(what): nothing to do, all of its \(Quantity.describe(bytes: event.number("bytes"))) are stored"
        }
        let there = blobs - fetched
        return
            "\(name)\(what): fetched \(Self.count(fetched, "blob")), \(Quantity.describe(bytes: event.number("fetchedBytes"))) in "
            + "\(Self.time(event.number("milliseconds")))" + (there > 0 ? "; \(there) of \(blobs) were there already" : "")
    }

    static func failure(_ event: AdminEvent) -> String {
        var text = "\(event.text("image") ?? "") is not complete: \(event.text("message") ?? "")"
        let retryAt = event.number("retryAt")
        if retryAt > 0 { text += "; try again after \(Quantity.date(retryAt))" }
        return text
    }

    static func summary(_ event: AdminEvent) -> String {
        let (complete, unchanged) = (event.number("complete"), event.number("unchanged"))
        let (failed, interrupted) = (event.number("failed"), event.number("interrupted"))
        let total = complete + failed + interrupted
        if total == unchanged {
            return total == 1
                ? "Nothing to do: the image is complete" : "Nothing to do: all \(total) images are complete"
        }
        var text = "\(complete) of \(Self.count(total, "image")) complete"
        if unchanged > 0 { text += ", \(unchanged) of them before" }
        if failed > 0 { text += ", \(failed) failed" }
        if interrupted > 0 { text += ", \(interrupted) not brought" }
        return
            "\(text): fetched \(Self.count(event.number("fetchedBlobs"), "blob")), "
            + "\(Quantity.describe(bytes: event.number("fetchedBytes"))) in \(Self.time(event.number("milliseconds")))"
    }

    private static func count(_ number: Int64, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    private static func time(_ milliseconds: Int64) -> String {
        milliseconds < 10_000
            ? "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
            : VerificationPrinter.describe(seconds: (milliseconds + 500) / 1000)
    }

    // MARK: - Progress

    private func progress(_ event: AdminEvent) {
        guard self.block.isActive else { return }
        let layers = event.list("layers").compactMap { AdminEvent.layer($0) }
        let (received, wanted) = (event.number("received"), event.number("wanted"))
        let rate = self.said.withLock { $0.recent.note(received, at: event.number("milliseconds")) }
        var lines = layers.map { Self.line($0) }
        var total =
            "\(event.number("endedImages")) of \(Self.count(event.number("images"), "image")), "
            + "\(Quantity.describe(bytes: received)) of \(Quantity.describe(bytes: max(wanted, received)))"
        if let rate {
            total += ", \(Quantity.describe(bytes: rate))/s"
            if rate > 0, wanted > received {
                total += ", \(VerificationPrinter.describe(seconds: (wanted - received + rate - 1) / rate)) left"
            }
        }
        lines.append(total)
        self.block.show(lines)
    }

    static func line(_ layer: WarmProgress.Layer) -> String {
        let percent = layer.size > 0 ? layer.received * 100 / layer.size : 100
        let filled = Int(percent) / 5
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 20 - filled)
        return
            "  \(layer.image) \(layer.digest.hex.prefix(12)) [\(bar)] \(percent) % of \(Quantity.describe(bytes: layer.size))"
    }
}

/// Bytes a second over the last few seconds.
struct TransferRate {
    private static let window: Int64 = 8000
    private var samples: [(milliseconds: Int64, bytes: Int64)] = []

    /// Nil until there is something to be said.
    mutating func note(_ bytes: Int64, at milliseconds: Int64) -> Int64? {
        // Another run counts from nothing.
        if let last = self.samples.last, milliseconds < last.milliseconds || bytes < last.bytes { self.samples = [] }
        self.samples.append((milliseconds, bytes))
        while let first = self.samples.first, milliseconds - first.milliseconds > Self.window, self.samples.count > 2 {
            self.samples.removeFirst()
        }
        guard let first = self.samples.first, milliseconds - first.milliseconds >= 1000 else { return nil }
        return (bytes - first.bytes) * 1000 / (milliseconds - first.milliseconds)
    }
}
