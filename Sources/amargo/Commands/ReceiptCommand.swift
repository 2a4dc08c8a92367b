import Archive
import ArgumentParser
import Glibc
import Storage

struct ReceiptCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receipt",
        abstract: "Write down which blobs this store has, so that the next bundle for it needs only the others.",
        discussion: """
            Run it on the far side, carry the file back, and give it to amargo export --since. It is small: 75 bytes a blob. \
            Works beside a running server and without one. Exit codes: 0 written, 2 not written.
            """)

    @OptionGroup var options: StoreOptions

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write; - for standard output.", valueName: "file"),
        completion: .file())
    var output: String

    @Option(help: "table or json.")
    var format = OutputFormat.table

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        do {
            let settings = try SettingsLoader(self.options).load().settings
            let output = self.output
            let (store, blobs) = try await Blocking.run {
                let reader = try StoreAccess.reader(settings)
                let target: Receipt.Target = output == "-" ? .standardOutput : .file(output)
                return (reader.identity.id, try Receipt.write(of: reader, to: target, at: Int64(time(nil))))
            }
            let stream = output == "-" ? STDERR_FILENO : STDOUT_FILENO
            switch self.format {
            case .table:
                StandardStreams.write(
                    "Wrote \(output == "-" ? "the receipt" : output): \(blobs) blob\(blobs == 1 ? "" : "s") of the store \(store)\n",
                    to: stream)
            case .json: StandardStreams.write("{\"event\":\"receipt\",\"store\":\"\(store)\",\"blobs\":\(blobs)}\n", to: stream)
            }
        } catch let error as BundleError {
            _ = Failure.report(error)
            throw ExitCode(2)
        } catch let error as StorageError {
            _ = Failure.report(error)
            throw ExitCode(2)
        } catch {
            throw Failure.report(error)
        }
    }
}
