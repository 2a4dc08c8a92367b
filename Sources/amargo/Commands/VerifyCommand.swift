import Archive
import ArgumentParser
import Glibc
import Maintenance
import Storage
import Synchronization
import UnixSignals

struct VerifyCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the store: hash every blob, compare journal, blobs and image layouts; or check bundles.",
        discussion: """
            With names of bundles it checks those, without a store: whether all is there that they describe, and every byte right.

            Reads only, also beside a running server. Each finding is one line on standard output, with what will be done about it; \
            lines that begin with "note:" are no findings. With --repair it is done: damaged blobs go to quarantine, layouts are \
            written again, names are read back from the layouts when the journal is gone.

            Exit codes: 0 nothing found, 1 everything found was repaired, 2 findings are left or the store could not be verified, \
            64 wrong usage, 78 wrong configuration, 130 interrupted with nothing found.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @OptionGroup var options: StoreOptions

    @Flag(help: "Mend what is found.")
    var repair = false

    @Flag(help: "Compare names and sizes only; hash nothing.")
    var quick = false

    @Option(help: "Hash only this share of the bytes, chosen at random: 5% or 0.05.")
    var sample: String?

    @Option(help: "Choose the same sample again: the seed that was printed.")
    var seed: UInt64?

    @Option(help: "How findings look: text or json, one object a line.")
    var format = Format.text

    @Argument(
        help: "Bundles to check instead of the store: folders, archives, parts, or - for standard input.", completion: .file())
    var bundles: [String] = []

    func prepare() throws {
        // A bundle is whoever's it is, and no store is touched.
        if !self.bundles.isEmpty { return }
        try self.prepareForStore()
    }

    func validate() throws {
        if !self.bundles.isEmpty, self.repair || self.quick || self.sample != nil {
            throw ValidationError("--repair, --quick and --sample are for the store; a bundle is checked as a whole.")
        }
        if self.quick, self.sample != nil {
            throw ValidationError("--quick hashes nothing, so it cannot be combined with --sample.")
        }
        if self.seed != nil, self.sample == nil { throw ValidationError("--seed chooses a sample; name its size with --sample.") }
        if let sample = self.sample, VerificationOptions.share(sample) == nil {
            throw ValidationError("--sample must be a share above 0 and at most 100%, such as 5% or 0.05, not \"\(sample)\".")
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        do {
            if !self.bundles.isEmpty {
                return try await Self.verify(bundles: self.bundles, format: self.format, options: self.options)
            }
            let settings = try StoreOwner.settings(self.options)
            let printer = VerificationPrinter(format: self.format, depth: self.verification.depth, seed: self.verification.seed)
            let outcome = try await self.verify(settings, self.verification, printer)
            printer.end(outcome)
            try Self.exit(outcome)
        } catch let error as BundleError {
            _ = Failure.report(error)
            throw ExitCode(2)
        } catch let error as StorageError {
            // 1 says "repaired" here.
            _ = Failure.report(error)
            throw ExitCode(2)
        } catch {
            throw Failure.report(error)
        }
    }

    private static func exit(_ outcome: VerificationOutcome) throws {
        switch outcome.verdict {
        case .findingsLeft: throw ExitCode(2)
        case .clean, .repaired: if !outcome.isComplete { throw ExitCode(128 + SIGINT) }
        }
        if outcome.verdict == .repaired { throw ExitCode(1) }
    }

    /// A random seed is drawn once, so that it can be told.
    private static let drawnSeed = UInt64.random(in: 0...999_999_999)

    private var verification: VerificationOptions {
        var options = VerificationOptions()
        options.purpose = self.repair ? .repair : .report
        options.seed = self.seed ?? Self.drawnSeed
        if self.quick { options.depth = .quick }
        if let share = self.sample.flatMap({ VerificationOptions.share($0) }) { options.depth = .sample(share) }
        return options
    }

    private func verify(
        _ settings: Settings, _ options: VerificationOptions, _ printer: VerificationPrinter
    ) async throws -> VerificationOutcome {
        guard self.repair else {
            let reader = try StoreReader(folder: settings.storePath)
            return try await Self.untilInterrupted {
                try await StoreVerification(reading: reader).run(options, report: printer.report)
            }
        }
        return try await Self.untilInterrupted { try await Self.repair(settings, options, printer) }
    }

    /// Has it done by whoever holds the store, which may be this process.
    private static func repair(
        _ settings: Settings, _ options: VerificationOptions, _ printer: VerificationPrinter
    ) async throws -> VerificationOutcome {
        let end = Mutex<(outcome: VerificationOutcome?, error: String?)>((nil, nil))
        _ = try await StoreDoor(settings: settings).perform(.verify(options), role: "verify") { event in
            if event.kind == "error" { return end.withLock { $0.error = event.text("message") } }
            guard let line = event.text("line"), let event = try? VerificationEvent(json: Array(line.utf8)) else {
                return  // a later version says more
            }
            if case .end(let outcome) = event { end.withLock { $0.outcome = outcome } }
            printer.report(event)
        }
        let (outcome, error) = end.withLock { $0 }
        guard let outcome else { throw StorageError(.io, error ?? "the verification ended without an outcome") }
        return outcome
    }

    /// Runs work that ends soon after its task is cancelled, and cancels it at SIGINT or SIGTERM.
    private static func untilInterrupted<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                for await _ in signals { break }
                return nil
            }
            while let result = try await group.next() {
                group.cancelAll()
                if let result { return result }
            }
            throw CancellationError()
        }
    }
}
