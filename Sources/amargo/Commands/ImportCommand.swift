import Archive
import ArgumentParser
import Glibc
import OCI
import Registry
import Synchronization

struct ImportCommand: AsyncParsableCommand, StoreUser {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take images out of bundles into the store.",
        discussion: """
            A bundle is an OCI image layout, as a folder or in a tar, plain or with gzip, whole or in numbered parts (name the .sha256 file or \
            any part); or what docker save wrote; - is standard input. Nothing is unpacked: every byte is hashed on its way into the store, \
            an image is there as a whole or not at all, and anything odd refuses the whole bundle before anything is written. Images keep \
            the names they were exported with, are pinned, and never replace what the store knows to be newer. Works beside a running server \
            and without one; a store that is missing is made. An import that was killed is gone on with by starting it again.

            Exit codes: 0 all images are in the store, 1 some, 2 none, 64 wrong usage, 78 wrong configuration.
            """)

    @OptionGroup var options: StoreOptions

    @Option(
        name: .customLong("as"),
        help:
            "Call the image this, such as docker.io/library/app:1; without a tag, all images of one repository move to this one.")
    var name: String?

    @Flag(help: "Give a folder's files a further name in the store instead of copying them; they become read-only.")
    var link = false

    @Flag(help: "Let what is imported be evicted like what is pulled.")
    var noPin = false

    @Flag(help: "Look at the bundles and say what would be done.")
    var dryRun = false

    @Option(help: "table or json, one object a line.") var format = OutputFormat.table

    @Argument(help: "Folders, archives, parts, or - for standard input.", completion: .file()) var paths: [String]

    /// What was opened before root became the store's owner; the process has one command.
    private static let opened = Mutex<[BundlePaths]?>(nil)

    func validate() throws {
        guard let name = self.name else { return }
        do {
            guard try ImageReference(parsing: name).digest == nil else {
                throw ValidationError("--as takes a name with or without a tag; a digest is what the bundle says.")
            }
        } catch let error as ReferenceError {
            throw ValidationError("--as: \(error)")
        }
    }

    func prepare() throws {
        do {
            let bundles = try BundlePaths.open(self.paths)
            Self.opened.withLock { $0 = bundles }
            let loaded = try SettingsLoader(self.options).load()
            StoreOwner.prepared.withLock { $0 = loaded.settings }
            try StoreOwner.become(ofFolder: loaded.settings.storePath)
        } catch {
            throw Self.report(error)
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        do {
            let settings = try StoreOwner.settings(self.options)
            guard let bundles = Self.opened.withLock({ $0.take() }) else { return }
            let printer = ImportPrinter(format: self.format, settings: settings)
            let request = AdminRequest.importBundles(try self.importOptions(settings), bundles.map(\.input))
            let code = try await StoreDoor(settings: settings).perform(
                request, role: "import", bundles: bundles, receive: printer.receive)
            guard code == 0 else { throw ExitCode(Int32(code)) }
        } catch {
            throw Self.report(error)
        }
    }

    /// 1 says "some" here.
    private static func report(_ error: any Error) -> any Error {
        let reported = Failure.report(error)
        return reported as? ExitCode == ExitCode.failure && !(error is ExitCode) ? ExitCode(2) : reported
    }

    private func importOptions(_ settings: Settings) throws -> ImportOptions {
        var options = ImportOptions(
            naming: try settings.bundleNaming(replacement: try self.name.map { try ImageReference(parsing: $0) }))
        options.transfer = self.link ? .link : .copy
        options.pinning = self.noPin ? .unpinned : .pinned
        options.purpose = self.dryRun ? .look : .store
        return options
    }
}

extension Settings {
    /// How names in bundles become names in the store.
    func bundleNaming(replacement: ImageReference? = nil) throws -> BundleNaming {
        var aliases: [Namespace: Namespace] = [:]
        for repository in self.repositories {
            for alias in repository.namespaces.dropFirst() { aliases[alias] = repository.namespaces[0] }
        }
        let fallback = try self.repositories.first(where: \.isDefault)?.namespaces[0] ?? Namespace(parsing: "docker.io")
        return BundleNaming(aliases: aliases, fallback: fallback, replacement: replacement)
    }
}
