import Archive
import ArgumentParser
import Glibc
import OCI
import Storage

struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write images into a bundle, to carry them to a place without a network.",
        discussion: """
            A bundle is an OCI image layout: one tar, or a folder when --output ends in a slash. It has the images with their platforms, \
            signatures, attestations and whatever else refers to them, and keeps every digest. Only what is stored is exported; the report \
            says what is missing and how to get it. A folder on the store's file system is made of hard links: its blobs are the store's \
            own files, to be read and not to be changed. Works beside a running server and without one.

            Nothing is seen of a bundle before it is complete, and what had its name before is replaced only then.

            Exit codes: 0 every image is in the bundle, 1 some are left out, 2 nothing was written, 64 wrong usage, \
            78 wrong configuration, 130 interrupted.
            """)

    @OptionGroup var options: StoreOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("bundle.tar, a new folder with a slash at its end, or - for standard output.", valueName: "bundle"),
        completion: .file())
    var output: String

    @Flag(help: "Everything that is stored.")
    var all = false

    @Option(help: ArgumentHelp("A file with one image a line; - for standard input.", valueName: "list"), completion: .file())
    var fromFile: [String] = []

    @Option(help: "Only these platforms of multi-platform images: linux/amd64,linux/arm64. Else all that are stored.")
    var platform: [String] = []

    @Flag(help: "Write nothing when anything is missing.")
    var strict = false

    @Option(
        help: ArgumentHelp(
            "Only what the other side lacks: its receipt, as amargo receipt wrote it there.", valueName: "receipt"),
        completion: .file()
    )
    var since: String?

    @Option(
        help: ArgumentHelp("Cut the tar into parts of this size, such as 4GB, with checksums beside them.", valueName: "size"))
    var split: String?

    @Flag(help: "Copy the blobs into a folder, also where hard links could be made.")
    var copy = false

    @Option(help: "table or json.")
    var format = OutputFormat.table

    @Argument(
        help:
            "Images, such as nginx:1.27 or ghcr.io/org/app@sha256:…; without a tag, latest. - reads a list from standard input.",
        completion: ImageCompletion.kind
    )
    var images: [String] = []

    func validate() throws {
        _ = try self.choices()
        if let split = self.split, Quantity.bytes(split) == nil {
            throw ValidationError("--split must be a size such as 4GB or 512MiB, not \"\(split)\".")
        }
        if self.all, !self.images.isEmpty || !self.fromFile.isEmpty {
            throw ValidationError("--all is everything; it cannot be combined with images or --from-file.")
        }
        if !self.all, self.images.isEmpty, self.fromFile.isEmpty {
            throw ValidationError("Name the images to export, a list with --from-file, or --all.")
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        do {
            let settings = try SettingsLoader(self.options).load().settings
            let target: BundleTarget
            do {
                target = try BundleTarget(self.output, partSize: self.split.flatMap { Quantity.bytes($0) })
            } catch {
                throw ValidationError("\(error)")
            }
            let printer = ExportPrinter(
                format: self.format, output: self.output, report: target == .standardOutput ? STDERR_FILENO : STDOUT_FILENO)
            let progress = ExportProgress(report: printer.progress)
            let work: @Sendable () throws -> ImageExporter.Outcome = {
                let request = try self.request(settings)
                var options = ImageExporter.Options()
                options.isStrict = self.strict
                options.linksFiles = !self.copy
                // Some are for the bundle and for what reading the store needs.
                options.openFiles = max(0, DescriptorBudget.raiseLimit() - 1100)
                let reader = try StoreAccess.reader(settings)
                return try ImageExporter(request, to: target, options, progress).export(from: reader, note: printer.begin)
            }
            // Whoever reads a stream knows that it is not complete by its end.
            let outcome =
                target == .standardOutput
                ? try await Blocking.run(work) : try await Interruption.during(work) { progress.interrupt() }
            printer.end(outcome)
            if !outcome.wasWritten { throw ExitCode(2) }
            if outcome.plan.leftOut > 0 { throw ExitCode(1) }
        } catch let error as BundleError {
            _ = Failure.report(error)
            throw error.code == .interrupted ? ExitCode(128 + SIGINT) : ExitCode(2)
        } catch let error as StorageError {
            _ = Failure.report(error)
            throw ExitCode(2)
        } catch {
            throw Failure.report(error)
        }
    }

    private func request(_ settings: Settings) throws -> ExportRequest {
        var request = ExportRequest(.all)
        if !self.all {
            var images: [ExportRequest.Image] = []
            for text in try ImageNames.expand(self.images, lists: self.fromFile) {
                let (repository, reference) = try settings.image(text)
                let latest = Reference.tag(try Tag(parsing: "latest"))
                images.append(ExportRequest.Image(repository: repository, reference: reference ?? latest))
            }
            request.selection = .images(images)
        }
        request.platforms = try self.choices()
        request.receipt = try self.since.map { try Receipt(reading: $0) }
        return request
    }

    private func choices() throws -> [PlatformChoice] {
        try self.platform.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map { text in
            guard let choice = PlatformChoice(parsing: text) else {
                throw ValidationError("--platform takes platforms such as linux/amd64,linux/arm64, not \"\(text)\".")
            }
            return choice
        }
    }
}
