import Archive
import ArgumentParser
import Foundation
import Glibc
import OCI
import Synchronization

/// `amargo verify BUNDLE…`: whether a bundle is worth carrying.
extension VerifyCommand {
    /// Checks each; throws the exit code.
    static func verify(bundles paths: [String], format: Format, options: StoreOptions) async throws {
        let bundles = try BundlePaths.open(paths)
        // What names mean depends on nothing but aliases; a configuration that is wrong says so where it matters.
        let naming = try SettingsLoader(options).load().settings.bundleNaming()
        let isDamaged = Mutex(false)
        for bundle in bundles {
            let progress = BundleProgress()
            let result = try await Self.onThread {
                let spool = TemporarySpool(folder: FileManager.default.temporaryDirectory.path)
                return Result {
                    try BundleVerification(spool: spool, report: progress.report).run(
                        bundle.input, opener: bundle, naming: naming)
                }
            }
            progress.clear()
            switch result {
            case .success(let result):
                if !result.findings.isEmpty { isDamaged.withLock { $0 = true } }
                Self.print(result, bundle.input.name, format)
            case .failure(let error):
                isDamaged.withLock { $0 = true }
                Self.print(refusal: "\(error)", bundle.input.name, format)
            }
        }
        if isDamaged.withLock({ $0 }) { throw ExitCode(2) }
    }

    private static func onThread<T: Sendable>(_ work: @escaping @Sendable () -> T) async throws -> T {
        await withCheckedContinuation { continuation in Thread { continuation.resume(returning: work()) }.start() }
    }

    private static func print(refusal: String, _ bundle: String, _ format: Format) {
        let line =
            format == .json
            ? "{\"bundle\":\(JSONText.quoted(bundle)),\"finding\":\(JSONText.quoted(refusal))}"
            : refusal.hasPrefix(bundle) ? refusal : "\(bundle): \(refusal)"
        StandardStreams.write("\(line)\n", to: STDOUT_FILENO)
    }

    private static func print(_ result: BundleVerification.Result, _ bundle: String, _ format: Format) {
        var lines: [String] = []
        switch format {
        case .json:
            let name = JSONText.quoted(bundle)
            lines += result.images.map { image in
                let platforms = image.platforms.map(JSONText.quoted).joined(separator: ",")
                return "{\"bundle\":\(name),\"image\":\(JSONText.quoted(image.title)),\"digest\":\"\(image.digest)\","
                    + "\"platforms\":[\(platforms)],\"bytes\":\(image.bytes),\"missingBlobs\":\(image.missing.count)}"
            }
            lines += result.notes.map { "{\"bundle\":\(name),\"note\":\(JSONText.quoted($0))}" }
            lines += result.findings.map { "{\"bundle\":\(name),\"finding\":\(JSONText.quoted($0))}" }
        case .text:
            for image in result.images where image.missing.isEmpty {
                let platforms = image.platforms.filter { $0 != "unknown/unknown" }.map(VisibleText.escaped)
                lines.append(
                    "\(image.title)\(platforms.isEmpty ? "" : " (\(platforms.joined(separator: ", ")))"): complete, "
                        + "\(image.contents.count) blobs, \(Quantity.describe(bytes: image.bytes))")
            }
            lines += result.notes.map { VisibleText.escaped("note: \(bundle): \($0)") }
            lines += result.findings.map { VisibleText.escaped("\(bundle): \($0)") }
            let count = result.findings.count
            lines.append(
                "Verified \(bundle): \(VerificationPrinter.grouped(Int64(result.blobs))) blobs, "
                    + "\(Quantity.describe(bytes: result.bytes)): "
                    + (count == 0 ? "nothing found" : "\(count) finding\(count == 1 ? "" : "s")"))
        }
        StandardStreams.write(lines.map { "\($0)\n" }.joined(), to: STDOUT_FILENO)
    }
}

/// How far a bundle's check is, on a terminal.
private final class BundleProgress: Sendable {
    private let shows = isatty(STDERR_FILENO) == 1
    private let isShowing = Mutex(false)

    @Sendable func report(_ event: ImportEvent) {
        guard self.shows, case .progress(let progress) = event else { return }
        self.isShowing.withLock { $0 = true }
        let total = progress.totalBytes > 0 ? " of \(Quantity.describe(bytes: progress.totalBytes))" : ""
        StandardStreams.write("\r\(Quantity.describe(bytes: progress.bytes))\(total)\u{1B}[K", to: STDERR_FILENO)
    }

    func clear() {
        if self.isShowing.withLock({ $0 }) { StandardStreams.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }
}
