import Archive
import Glibc
import OCI
import Synchronization

/// What an export says: how far it is, on standard error, and at the end what is in the bundle and what is not.
final class ExportPrinter: Sendable {
    private struct State {
        var isShowing = false
        var begun = ContinuousClock.now
        var shown = ContinuousClock.now
    }

    private let format: OutputFormat
    private let output: String
    /// Where the report goes: standard error when the bundle itself is standard output.
    private let stream: CInt
    private let isTerminal: Bool
    private let state = Mutex(State())

    init(format: OutputFormat, output: String, report stream: CInt) {
        self.format = format
        self.output = output
        self.stream = stream
        self.isTerminal = isatty(STDERR_FILENO) == 1
    }

    // MARK: - On the way

    @Sendable func begin(_ plan: ExportPlan) {
        self.state.withLock { $0 = State(isShowing: $0.isShowing) }
        guard !self.isTerminal else { return }
        let images = plan.images.count - plan.leftOut
        StandardStreams.write(
            "Exporting \(Self.count(images, "image")), \(Self.count(plan.members.count, "blob")), "
                + "\(Quantity.describe(bytes: plan.byteCount)) to \(self.name)\n", to: STDERR_FILENO)
    }

    @Sendable func progress(_ bytes: Int64, _ total: Int64) {
        let now = ContinuousClock.now
        let interval: Duration = self.isTerminal ? .milliseconds(200) : .seconds(30)
        let elapsed = self.state.withLock { state -> Duration? in
            guard now - state.shown >= interval else { return nil }
            state.shown = now
            state.isShowing = self.isTerminal
            return now - state.begun
        }
        guard let elapsed else { return }
        let line = Self.line(bytes, total, elapsed)
        StandardStreams.write(self.isTerminal ? "\r\(line)\u{1B}[K" : "\(line)\n", to: STDERR_FILENO)
    }

    /// `1.2 GB of 4 GB, 30 %, 410 MB/s, 7 s left`
    static func line(_ bytes: Int64, _ total: Int64, _ elapsed: Duration) -> String {
        let percent = bytes.multipliedReportingOverflow(by: 100).partialValue / max(total, 1)
        var text = "\(Quantity.describe(bytes: bytes)) of \(Quantity.describe(bytes: total)), \(percent) %"
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        guard seconds > 0.1, bytes > 0 else { return text }
        let rate = Double(bytes) / seconds
        text += ", \(Quantity.describe(bytes: Int64(rate)))/s"
        return text
            + ", \(VerificationPrinter.describe(seconds: Int64((Double(max(0, total - bytes)) / rate).rounded(.up)))) left"
    }

    private func clear() {
        let isShowing = self.state.withLock { state in
            defer { state.isShowing = false }
            return state.isShowing
        }
        if isShowing { StandardStreams.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    // MARK: - The report

    func end(_ outcome: ImageExporter.Outcome) {
        self.clear()
        let elapsed = self.state.withLock { ContinuousClock.now - $0.begun }
        switch self.format {
        case .json:
            for image in outcome.plan.images { self.print(Self.json(image)) }
            self.print(self.json(outcome))
        case .table:
            self.printTable(outcome.plan.images)
            for image in outcome.plan.images {
                for line in Self.gaps(image) { self.print("\(image.name): \(line)") }
            }
            self.printNotes(outcome)
            self.print(self.summary(outcome, elapsed))
        }
    }

    private func print(_ line: String) { StandardStreams.write("\(line)\n", to: self.stream) }

    private var name: String { self.output == "-" ? "standard output" : self.output }

    private func printTable(_ images: [ExportedImage]) {
        var rows = [["IMAGE", "DIGEST", "PLATFORMS", "LAYERS", "REFERRERS", "SIZE", "STATE"]]
        for image in images {
            let digest = image.digest.map { String($0.drop { $0 != ":" }.dropFirst().prefix(12)) } ?? "-"
            let platforms = VisibleText.escaped(image.platforms.joined(separator: ","))
            let isIn = image.state != .leftOut
            rows.append([
                image.name, digest, platforms.isEmpty ? "-" : platforms,
                isIn ? "\(image.layers)" : "-", isIn ? "\(image.referrers)" : "-",
                isIn ? Quantity.describe(bytes: image.bytes) : "-", image.state == .leftOut ? "left out" : image.state.rawValue,
            ])
        }
        let widths = rows[0].indices.map { column in rows.lazy.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            var line = ""
            for (cell, width) in zip(row.dropLast(), widths) {
                line += cell + String(repeating: " ", count: width - cell.count + 2)
            }
            self.print(line + (row.last ?? ""))
        }
    }

    /// One line for all gaps that have one cause and one way out.
    static func gaps(_ image: ExportedImage) -> [String] {
        struct Key: Hashable {
            let reason: String
            let remedy: String?
        }
        let mark = "\u{0}"
        var order: [Key] = []
        var subjects: [Key: [String]] = [:]
        for gap in image.gaps {
            let remedy = gap.remedy?.replacing("--platform \(gap.subject) ", with: "--platform \(mark) ")
            let key = Key(reason: gap.reason, remedy: remedy)
            if subjects[key] == nil { order.append(key) }
            subjects[key, default: []].append(gap.subject)
        }
        return order.map { key in
            let list = subjects[key] ?? []
            let remedy = key.remedy.map { "; " + $0.replacing(mark, with: list.joined(separator: ",")) } ?? ""
            return VisibleText.escaped("\(list.joined(separator: ", ")): \(key.reason)\(remedy)")
        }
    }

    private func printNotes(_ outcome: ImageExporter.Outcome) {
        guard outcome.wasWritten else { return }
        let docker = outcome.plan.images.lazy.filter(\.isDocker).count
        if docker > 0 {
            self.print(
                "note: \(Self.count(docker, "image")) \(docker == 1 ? "has" : "have") Docker's media types, carried unconverted: "
                    + "Amargo reads them; of other tools, not all find them in an image layout by name (skopeo, podman and umoci do not)"
            )
        }
        if let obstacle = outcome.obstacle { self.print("note: copied where links were not possible: \(obstacle)") }
    }

    private func summary(_ outcome: ImageExporter.Outcome, _ elapsed: Duration) -> String {
        let plan = outcome.plan
        guard outcome.wasWritten else {
            if plan.isEmpty { return "Nothing was written: no image could be exported" }
            return "Nothing was written: something is missing, and --strict allows no gap"
        }
        let images = plan.images.count - plan.leftOut
        let seconds = (elapsed.components.seconds * 1000 + elapsed.components.attoseconds / 1_000_000_000_000_000 + 500) / 1000
        var text = "Wrote \(self.name): \(Self.count(images, "image")), \(Self.count(plan.members.count, "blob")), "
        text += "\(Quantity.describe(bytes: outcome.bytes)) in \(VerificationPrinter.describe(seconds: seconds))"
        if outcome.parts > 0 { text += ", in \(Self.count(outcome.parts, "part")); \(self.name).sha256 has their checksums" }
        if outcome.links > 0 {
            text +=
                outcome.obstacle == nil ? "; its blobs are hard links to the store's files" : "; \(outcome.links) are hard links"
        }
        if plan.sparedBlobs > 0 {
            text += "; \(Self.count(plan.sparedBlobs, "blob")), \(Quantity.describe(bytes: plan.sparedBytes)), the other side has"
        }
        if plan.leftOut > 0 { text += "; \(Self.count(plan.leftOut, "image")) left out" }
        return text
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(VerificationPrinter.grouped(Int64(number))) \(noun)\(number == 1 ? "" : "s")"
    }

    // MARK: - JSON

    private static func json(_ image: ExportedImage) -> String {
        let gaps = image.gaps.map { gap in
            "{\"subject\":\(JSONText.quoted(gap.subject)),\"reason\":\(JSONText.quoted(gap.reason)),"
                + "\"remedy\":\(gap.remedy.map(JSONText.quoted) ?? "null")}"
        }
        return
            "{\"event\":\"image\",\"image\":\(JSONText.quoted(image.name)),\"digest\":\(image.digest.map(JSONText.quoted) ?? "null"),"
            + "\"mediaType\":\(image.mediaType.map(JSONText.quoted) ?? "null"),\"state\":\"\(image.state.rawValue)\","
            + "\"platforms\":[\(image.platforms.map(JSONText.quoted).joined(separator: ","))],\"layers\":\(image.layers),"
            + "\"referrers\":\(image.referrers),\"blobs\":\(image.blobs),\"bytes\":\(image.bytes),"
            + "\"missing\":[\(gaps.joined(separator: ","))]}"
    }

    private func json(_ outcome: ImageExporter.Outcome) -> String {
        let plan = outcome.plan
        return "{\"event\":\"bundle\",\"output\":\(JSONText.quoted(self.output)),\"written\":\(outcome.wasWritten),"
            + "\"images\":\(plan.images.count - plan.leftOut),\"leftOut\":\(plan.leftOut),\"blobs\":\(plan.members.count),"
            + "\"bytes\":\(outcome.bytes),\"parts\":\(outcome.parts),\"links\":\(outcome.links),"
            + "\"sparedBlobs\":\(plan.sparedBlobs),\"sparedBytes\":\(plan.sparedBytes)}"
    }
}
