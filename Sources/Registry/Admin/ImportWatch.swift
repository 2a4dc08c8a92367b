import Archive
import Glibc
import Logging
import OCI
import ServiceLifecycle
import Storage
import Synchronization

/// Takes in the bundles that somebody puts into a folder, and moves them to `done/`, or with the reason beside them to `failed/`.
///
/// A bundle is looked at when it was closed after writing, or renamed into the folder; what lay there before the start, when nobody has
/// written to it for a while. A split bundle waits for its `.sha256` file and all its parts. Names that begin with a dot are somebody's
/// unfinished copies.
package final class ImportWatch: Service {
    /// How often the folder is asked.
    private static let interval = Duration.milliseconds(500)
    /// How long what was found, not announced, must have lain still, in seconds.
    private static let stillness: Int64 = 5
    private static let retry = Duration.seconds(10)

    private let folder: String
    private let administration: StoreAdministration
    private let options: Mutex<ImportOptions>
    private let logger: Logger

    package init(_ folder: String, _ administration: StoreAdministration, _ options: ImportOptions, logger: Logger) {
        self.folder = folder
        self.administration = administration
        self.options = Mutex(options)
        self.logger = logger
    }

    /// Takes bundles in by other options from now on.
    package func use(_ options: ImportOptions) { self.options.withLock { $0 = options } }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var isAnnounced = false
            while !Task.isCancelled {
                do {
                    guard !self.administration.store.isReadOnly else {
                        throw StorageError(.readOnly, "nothing is taken in from \(self.folder): the store is read-only")
                    }
                    let watch = try FolderWatch(self.folder)
                    self.logger.notice("Bundles are taken in from \(self.folder)")
                    try await self.follow(watch)
                } catch is CancellationError {
                    return  // the end is asked for
                } catch {
                    if !isAnnounced { self.logger.error("\(error); it is tried again every ten seconds") }
                    isAnnounced = true
                    try? await Task.sleep(for: Self.retry)  // ended early when the end is asked for
                }
            }
        }
    }

    private func follow(_ watch: FolderWatch) async throws {
        var found = try await self.administration.store.run { try Self.names(in: self.folder) }
        while true {
            var names: [String] = []
            switch watch.news() {
            case .names(let news): names = news
            case .tooMany: found = try await self.administration.store.run { try Self.names(in: self.folder) }
            }
            found.removeAll { names.contains($0) }
            let candidates = found
            let still = try await self.administration.store.run { candidates.filter { Self.isStill("\(self.folder)/\($0)") } }
            found.removeAll { still.contains($0) }
            for name in names + still where Self.isBundle(name) { await self.take(name) }
            try await Task.sleep(for: Self.interval)
        }
    }

    private static func names(in folder: String) throws -> [String] {
        try StoreRoot(folder: folder).entries(of: nil).filter(Self.isBundle).sorted()
    }

    private static func isBundle(_ name: String) -> Bool {
        !name.hasPrefix(".") && name != "done" && name != "failed" && !name.hasSuffix(".reason") && !name.contains("/")
    }

    /// Whether nobody has written to it for a while.
    private static func isStill(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return true }
        return Int64(time(nil)) - Int64(status.st_mtim.tv_sec) > Self.stillness
    }

    // MARK: - One bundle

    private func take(_ name: String) async {
        let path = "\(self.folder)/\(name)"
        let opened: Result<BundlePaths?, any Error>
        do {
            opened = try await self.administration.store.run { Result { try Self.open(path) } }
        } catch {
            return  // the store is being closed; what lies here is found at the next start
        }
        switch opened {
        case .success(nil): return
        case .failure(let error): await self.finish([path], code: 2, ["\(error)"], name)
        case .success(let bundle?):
            let said = Mutex<[String]>([])
            let code = Mutex(2)
            await self.administration.perform(
                .importBundles(self.options.withLock { $0 }, [bundle.input]), BundleSupply([bundle])
            ) { event in
                switch event.kind {
                case "error": said.withLock { $0.append(event.text("message") ?? "") }
                case "image":
                    guard let image = event.text("image"), let outcome = event.text("outcome") else { return }
                    let faults = event.list("faults").joined(separator: ", ")
                    said.withLock { $0.append("\(image): \(outcome)\(faults.isEmpty ? "" : " (\(faults))")") }
                case "end": code.withLock { $0 = Int(event.number("code")) }
                default: break
                }
            }
            // An import that the server's end has cut off goes on at its next start.
            if Task.isCancelled || self.administration.isAskedToEnd { return }
            await self.finish(bundle.files, code: code.withLock { $0 }, said.withLock { $0 }, name)
        }
    }

    /// Nil for what is gone already, as the parts of a bundle that was taken in are, or is not all there yet.
    private static func open(_ path: String) throws -> BundlePaths? {
        guard access(path, F_OK) == 0 else { return nil }
        if try BundlePaths.isWaitingForParts(path) { return nil }
        return try BundlePaths.open([path]).first
    }

    private func finish(_ files: [String], code: Int, _ said: [String], _ name: String) async {
        let target = "\(self.folder)/\(code == 0 ? "done" : "failed")"
        do {
            try await self.administration.store.run {
                _ = mkdir(target, 0o755)
                for file in files { try Self.move(file, to: target) }
                guard code != 0 else { return }
                try Self.write(said.map { "\($0)\n" }.joined(), to: "\(target)/\(name).reason")
            }
            let level: Logger.Level = code == 0 ? .notice : .error
            self.logger.log(
                level: level, "\(code == 0 ? "Took in" : "Could not take in all of") \(name): \(said.joined(separator: "; "))")
        } catch {
            self.logger.error("\(name) stays where it is, and was \(code == 0 ? "" : "not all ")taken in: \(error)")
        }
    }

    private static func move(_ file: String, to folder: String) throws {
        let name = file.split(separator: "/").last.map(String.init) ?? file
        var target = "\(folder)/\(name)"
        var number = 1
        while access(target, F_OK) == 0, number < 1000 {
            number += 1
            target = "\(folder)/\(name).\(number)"
        }
        guard rename(file, target) == 0 else {
            throw BundleError(.unreadable, "\(file) cannot be moved to \(folder): \(String(cString: strerror(errno)))")
        }
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw BundleError(.unreadable, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw BundleError(.unreadable, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }
}
