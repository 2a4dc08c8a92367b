import Archive
import Foundation
import Logging
import NIOCore
import NIOPosix
import OCI
import Storage
import Synchronization
import TestSupport

/// A store and a folder for bundles, for one test.
final class ImportLab: Sendable {
    let folder: TemporaryDirectory
    let clock = ManualWallClock()
    private let pools = StorePools(reading: 1, writing: 2)
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private init() throws {
        self.folder = try TemporaryDirectory()
        self.pools.start()
        self.clock.set(to: 2_000_000_000)
    }

    static func run(_ body: (ImportLab) async throws -> Void) async throws {
        let lab = try ImportLab()
        do {
            try await body(lab)
        } catch {
            await lab.end()
            throw error
        }
        await lab.end()
    }

    private func end() async {
        await self.pools.shutdown()
        try? await self.group.shutdownGracefully()  // best effort: the test has its result
    }

    /// Opens the store, runs `body` and closes it.
    @discardableResult
    func withStore<T>(maxSize: Int64 = 0, _ body: (ContentStore) async throws -> T) async throws -> T {
        let path = self.folder.path("store")
        let store = try await onThread {
            try ContentStore.open(
                StoreConfiguration(folder: path, maxSize: maxSize, minFree: 0, shares: [:]), role: "import", pools: self.pools,
                loop: self.group.next(), openFiles: 64, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                now: self.clock.read)
        }
        do {
            let result = try await body(store)
            await store.close()
            return result
        } catch {
            await store.close()
            throw error
        }
    }

    static func naming(as name: String? = nil) throws -> BundleNaming {
        BundleNaming(
            aliases: [try Namespace(parsing: "index.docker.io"): try Namespace(parsing: "docker.io")],
            fallback: try Namespace(parsing: "docker.io"), replacement: try name.map { try ImageReference(parsing: $0) })
    }

    /// Everything that an import said.
    struct Outcome: Sendable {
        var tally = ImportTally()
        var images: [ImportedImage] = []
        var problems: [String] = []
        var notes: [String] = []

        /// `NAME outcome` for each image.
        var lines: [String] { self.images.map { "\($0.title) \($0.outcome.rawValue)" } }
    }

    /// Writes an archive and imports it.
    func bring(
        _ archive: [UInt8], to store: ContentStore, as name: String? = nil, _ change: (inout ImportOptions) -> Void = { _ in }
    ) async throws -> Outcome {
        let path = self.folder.path("bundle")
        try Disk.write(archive, to: path)
        return try await self.bring([path], to: store, as: name, change)
    }

    /// Imports bundles by their paths.
    func bring(
        _ paths: [String], to store: ContentStore, as name: String? = nil, _ change: (inout ImportOptions) -> Void = { _ in }
    ) async throws -> Outcome {
        var options = ImportOptions(naming: try Self.naming(as: name))
        change(&options)
        let chosen = options
        return try await onThread {
            let said = Mutex(Outcome())
            let importer = ImageImporter(store, chosen) { event in
                said.withLock { said in
                    switch event {
                    case .image(let image): said.images.append(image)
                    case .problem(let text): said.problems.append(text)
                    case .note(let text): said.notes.append(text)
                    case .progress: break
                    }
                }
            }
            do {
                for bundle in try BundlePaths.open(paths) {
                    let tally = importer.run(bundle.input, opener: bundle)
                    said.withLock { said in
                        said.tally.done += tally.done
                        said.tally.failed += tally.failed
                        said.tally.newBytes += tally.newBytes
                    }
                }
            } catch {
                said.withLock { said in
                    said.problems.append("\(error)")
                    said.tally.failed += 1
                }
            }
            return said.withLock { $0 }
        }
    }

    /// Names of all files below the test's folder, the store's own among them.
    ///
    /// Without another program: a child that is being started holds the locks of other tests' stores for a moment.
    func files() throws -> [String] {
        guard let files = FileManager.default.enumerator(atPath: self.folder.path) else {
            throw TestSupportError(.system, "cannot list \(self.folder.path)")
        }
        return files.compactMap { $0 as? String }.sorted()
    }
}
