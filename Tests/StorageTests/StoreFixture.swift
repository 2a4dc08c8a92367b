import Glibc
import Logging
import NIOCore
import NIOPosix
import OCI
import SystemPackage
import TestSupport

@testable import Storage

/// Content whose digest another tool has computed.
enum Sample {
    struct Content: Sendable {
        let digest: Digest
        let bytes: [UInt8]
        let facts: ManifestFacts?
    }

    // printf abc | sha256sum; printf '' | sha256sum; printf 'hello\n' | sha256sum; printf abc | sha512sum
    static let abcHex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    static let emptyHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let helloHex = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    static let abc512Hex =
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

    static func abc() throws -> Content { try Self.content("sha256:\(Self.abcHex)", "abc") }
    static func hello() throws -> Content { try Self.content("sha256:\(Self.helloHex)", "hello\n") }
    static func empty() throws -> Content { try Self.content("sha256:\(Self.emptyHex)", "") }
    static func long() throws -> Content { try Self.content("sha512:\(Self.abc512Hex)", "abc") }

    /// An image of two blobs; its digest comes from the test library's own libcrypto.
    static func manifest() throws -> Content {
        let bytes = Fixtures.imageManifest(
            config: .init(mediaType: ManifestFlavour.oci.configType, digest: "sha256:\(Self.helloHex)", size: 6),
            layers: [.init(mediaType: ManifestFlavour.oci.layerType, digest: "sha256:\(Self.abcHex)", size: 3)])
        let digest = try Digest(parsing: "sha256:\(sha256Hex(bytes))")
        let facts = ManifestFacts(
            mediaType: .ociManifest,
            children: [
                Edge(role: .config, digest: try Digest(parsing: "sha256:\(Self.helloHex)"), size: 6),
                Edge(role: .layer, digest: try Digest(parsing: "sha256:\(Self.abcHex)"), size: 3),
            ], subject: nil)
        return Content(digest: digest, bytes: bytes, facts: facts)
    }

    private static func content(_ digest: String, _ text: String) throws -> Content {
        Content(digest: try Digest(parsing: digest), bytes: Array(text.utf8), facts: nil)
    }

    static func repository(_ name: String = "library/nginx", in namespace: String = "docker.io") throws -> QualifiedRepository {
        QualifiedRepository(namespace: try Namespace(parsing: namespace), name: try RepositoryName(parsing: name))
    }

    static func digest(_ number: Int) throws -> Digest {
        let hex = String(number, radix: 16)
        return try Digest(parsing: "sha256:" + String(repeating: "0", count: 64 - hex.count) + hex)
    }
}

/// Threads, an event loop and a folder for the stores of one test.
///
/// Every store is closed before its test ends: `withStore` sees to it.
final class StoreFixture: Sendable {
    let folder: TemporaryDirectory
    let clock = ManualWallClock()
    private let pools = StorePools(reading: 1, writing: 1)
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private init() throws {
        self.folder = try TemporaryDirectory()
        self.pools.start()
    }

    static func run(_ body: (StoreFixture) async throws -> Void) async throws {
        let fixture = try StoreFixture()
        do {
            try await body(fixture)
        } catch {
            await fixture.end()
            throw error
        }
        await fixture.end()
    }

    private func end() async {
        await self.pools.shutdown()
        try? await self.group.shutdownGracefully()  // best effort: the test has its result
    }

    /// The store's folder, which the first `open` makes.
    var path: String { self.folder.path("store") }

    func path(_ relative: String) -> String { "\(self.path)/\(relative)" }

    func open(
        at path: String? = nil, maxSize: Int64 = 0, minFree: Int64 = 0, shares: [Namespace: Int64] = [:],
        retention: [Namespace: Int64] = [:], role: String = "serve"
    ) async throws -> ContentStore {
        let configuration = StoreConfiguration(
            path: FilePath(path ?? self.path), maxSize: maxSize, minFree: minFree, shares: shares, retention: retention)
        return try await onThread {
            try ContentStore.open(
                configuration, role: role, pools: self.pools, loop: self.group.next(), openFiles: 64,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, now: self.clock.read)
        }
    }

    /// Opens the store, runs `body` and closes it, so that the next open finds its lock free.
    @discardableResult
    func withStore<T>(maxSize: Int64 = 0, _ body: (ContentStore) async throws -> T) async throws -> T {
        let store = try await self.open(maxSize: maxSize)
        do {
            let result = try await body(store)
            await store.close()
            return result
        } catch {
            await store.close()
            throw error
        }
    }

    /// Writes files as somebody else would: behind the store's back.
    func write(_ bytes: [UInt8], to relative: String) throws { try Disk.write(bytes, to: self.path(relative)) }

    /// The path of a blob below the store's folder.
    static func blobPath(_ digest: Digest) -> String {
        "blobs/\(digest.algorithm.rawValue)/\(digest.hex.prefix(2))/\(digest.hex)"
    }
}

extension ContentStore {
    /// Stores content as a download does.
    func put(_ content: Sample.Content, in repository: QualifiedRepository) async throws {
        try await onThread {
            var writer = try self.makeWriter(for: content.digest)
            try content.bytes.withUnsafeBytes { try writer.append($0) }
            try writer.publish()
            self.didPublish(content.digest, size: Int64(content.bytes.count), facts: content.facts, in: repository)
        }
    }

    /// The bytes of stored content.
    func contents(of digest: Digest) async throws -> [UInt8] {
        try await onThread {
            let file = try self.openNow(digest).get()
            var bytes = [UInt8](repeating: 0, count: Int(file.size))
            let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
            return Array(bytes[..<count])
        }
    }
}
