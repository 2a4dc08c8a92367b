import OCI
import TestSupport
import Testing

@testable import Storage

/// Partials of 16 MiB and more wait in `spool/` and are hashed again before they are resumed.
struct PartialTests {
    private static let limit = 16_777_216
    // python3: hashlib.sha256(bytes(16 << 20) + b'end')
    private static let digest = "sha256:dc0d2505eb78c7d621b07537cb174fb121a49ef279e8cc180b541a8ae39e5d1a"

    private static func spool(_ fixture: StoreFixture) throws -> [String] { try Disk.names(in: fixture.path("spool")) }

    private static func keep(_ count: Int, in store: ContentStore) async throws {
        let zeros = [UInt8](repeating: 0, count: count)
        try await onThread {
            var writer = try store.makeWriter(for: Digest(parsing: Self.digest))
            try zeros.withUnsafeBytes { try writer.append($0) }
            store.keep(writer)
        }
    }

    /// Appends the end to what is there and publishes; returns how much was there.
    private static func finish(in store: ContentStore) async throws -> Int64 {
        try await onThread {
            var writer = try store.makeWriter(for: Digest(parsing: Self.digest))
            let start = writer.byteCount
            try Array("end".utf8).withUnsafeBytes { try writer.append($0) }
            try writer.publish()
            return start
        }
    }

    @Test("a large partial is resumed by the same process, and by a later one", arguments: [false, true])
    func resumes(_ isLater: Bool) async throws {
        try await StoreFixture.run { (fixture) async throws in
            let digest = try Digest(parsing: Self.digest)
            try await fixture.withStore { (store) async throws in
                try await Self.keep(Self.limit, in: store)
                #expect(store.hasPartial(digest))
                #expect(try Self.spool(fixture).count == 1)
                if !isLater { #expect(try await Self.finish(in: store) == 16_777_216) }
            }
            try await fixture.withStore { (store) async throws in
                #expect(store.hasPartial(digest) == isLater)
                if isLater { #expect(try await Self.finish(in: store) == 16_777_216) }
                #expect(!store.hasPartial(digest))
                #expect(try Self.spool(fixture).isEmpty)
                #expect(try Disk.status(fixture.path(StoreFixture.blobPath(digest))).st_size == 16_777_219)
                #expect(try Disk.status(fixture.path(StoreFixture.blobPath(digest))).st_mode & 0o777 == 0o444)
            }
        }
    }

    @Test("a small one is not worth it")
    func small() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                try await Self.keep(Self.limit - 1, in: store)
                #expect(store.hasPartial(try Digest(parsing: Self.digest)) == false)
                #expect(try Self.spool(fixture).isEmpty)
            }
        }
    }

    @Test("of two of one digest the larger stays; smaller files and what is no file go")
    func leftovers() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { _ in }
            let name = "spool/\(Self.digest.replacing(":", with: "-"))"
            try fixture.write([UInt8](repeating: 0, count: Self.limit), to: "\(name).1")
            try fixture.write([UInt8](repeating: 0, count: Self.limit + 1), to: "\(name).2")
            try fixture.write([UInt8](repeating: 0, count: Self.limit - 1), to: "\(name).3")
            try Disk.link("/etc/passwd", at: fixture.path("\(name).4"))
            try await fixture.withStore { (store) async throws in
                #expect(try Self.spool(fixture) == [String("\(name).2".dropFirst(6))])
                #expect(store.hasPartial(try Digest(parsing: Self.digest)))
            }
        }
    }

    @Test("a damaged partial never becomes content, and the next download begins anew")
    func damaged() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { try await Self.keep(Self.limit, in: $0) }
            let name = try #require(try Self.spool(fixture).first)
            var bytes = try Disk.read(fixture.path("spool/\(name)"))
            bytes[1_000_000] = 1
            try fixture.write(bytes, to: "spool/\(name)")
            try await fixture.withStore { (store) async throws in
                let error = await #expect(throws: StorageError.self) { try await Self.finish(in: store) }
                #expect(error?.code == .digestMismatch)
                #expect(try Self.spool(fixture).isEmpty)
                try await Self.keep(Self.limit, in: store)
                #expect(try await Self.finish(in: store) == 16_777_216)
            }
        }
    }
}
