import Glibc
import Maintenance
import OCI
import Synchronization

/// Findings on standard output, one a line; how far it is, on standard error, when that is a terminal.
final class VerificationPrinter: Sendable {
    private let format: VerifyCommand.Format
    private let depth: VerificationOptions.Depth
    private let seed: UInt64
    private let showsProgress: Bool
    /// Whether a line of progress stands on the terminal.
    private let isShowing = Mutex(false)

    init(format: VerifyCommand.Format, depth: VerificationOptions.Depth, seed: UInt64) {
        self.format = format
        self.depth = depth
        self.seed = seed
        self.showsProgress = isatty(STDERR_FILENO) == 1
    }

    @Sendable func report(_ event: VerificationEvent) {
        switch event {
        case .finding(let finding, let resolution):
            self.clearProgress()
            StandardStreams.write(
                (self.format == .json ? event.json : Self.line(finding, resolution)) + "\n", to: STDOUT_FILENO)
        case .progress(let progress):
            guard self.showsProgress else { return }
            self.isShowing.withLock { $0 = true }
            StandardStreams.write("\r\(Self.line(progress))\u{1B}[K", to: STDERR_FILENO)
        case .end:
            self.clearProgress()
            if self.format == .json { StandardStreams.write("\(event.json)\n", to: STDOUT_FILENO) }
        }
    }

    func end(_ outcome: VerificationOutcome) {
        if self.format == .text { StandardStreams.write("\(self.summary(outcome))\n", to: STDOUT_FILENO) }
    }

    private func clearProgress() {
        let isShowing = self.isShowing.withLock { showing in
            defer { showing = false }
            return showing
        }
        if isShowing { StandardStreams.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    // MARK: - Words

    static func line(_ finding: Finding, _ resolution: Resolution) -> String {
        let start = finding.weight == .note ? "note: " : ""
        return switch resolution {
        case .found: "\(start)\(finding.sentence): \(finding.remedy)"
        case .repaired: "\(start)\(finding.sentence): \(finding.remedy) [done]"
        case .left(let reason): "\(start)\(finding.sentence): \(finding.remedy) [not done: \(reason)]"
        }
    }

    static func line(_ progress: VerificationEvent.Progress) -> String {
        let total = max(progress.totalBytes, 1)
        let percent = progress.bytes.multipliedReportingOverflow(by: 100).partialValue / total
        var text = "\(Quantity.describe(bytes: progress.bytes)) of \(Quantity.describe(bytes: progress.totalBytes)), \(percent) %"
        guard progress.milliseconds > 500, progress.bytes > 0 else { return text }
        let rate = Double(progress.bytes) / Double(progress.milliseconds)  // kB/s
        text += ", \(Int64(rate / 1000)) MB/s"
        let left = Double(max(0, progress.totalBytes - progress.bytes)) / rate / 1000
        return text + ", \(Self.describe(seconds: Int64(left.rounded(.up)))) left"
    }

    func summary(_ outcome: VerificationOutcome) -> String {
        let time = Self.describe(seconds: (outcome.milliseconds + 500) / 1000)
        var text = outcome.isComplete ? "Verified " : "Interrupted; verified "
        switch self.depth {
        case .full:
            text += "\(Self.count(outcome.hashedBlobs, "blob")), \(Quantity.describe(bytes: outcome.hashedBytes)) in \(time)"
        case .quick: text += "the names and sizes of \(Self.count(outcome.blobs, "blob")) in \(time)"
        case .sample:
            text +=
                "\(Self.count(outcome.hashedBlobs, "blob")) of \(Self.grouped(outcome.blobs)), "
                + "\(Quantity.describe(bytes: outcome.hashedBytes)) (seed \(self.seed)) in \(time)"
        }
        var parts: [String] = []
        if outcome.adopted > 0 { parts.append("\(Self.count(outcome.adopted, "blob")) adopted") }
        if outcome.repaired > 0 { parts.append("\(Self.count(outcome.repaired, "finding")) repaired") }
        if outcome.left > 0 { parts.append("\(Self.count(outcome.left, "finding")) left") }
        if outcome.repaired == 0, outcome.left == 0 { parts.append("nothing found\(outcome.isComplete ? "" : " so far")") }
        return "\(text): \(parts.joined(separator: ", "))"
    }

    private static func count(_ number: Int64, _ noun: String) -> String {
        "\(Self.grouped(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// `1,234`
    static func grouped(_ number: Int64) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    static func describe(seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        default: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        }
    }
}
