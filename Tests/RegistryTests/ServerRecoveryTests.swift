import Foundation
import TestSupport
import Testing

/// What a start finds on the disk and makes of it, seen by a client.
@Suite struct ServerRecoveryTests {
    @Test(
        "with the journal gone or full of NULs, names come back from the layouts and content by its hash",
        arguments: [true, false])
    func lostJournal(_ isRemoved: Bool) async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "library/nginx", tag: "latest")
        let options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.get("/v2/library/nginx/manifests/latest")
            for blob in image.blobs { _ = try await server.blob(blob.digest) }
            for blob in image.blobs { try await server.waitUntilStored(blob.digest) }
            try await server.waitUntilStored(image.manifestDigest)
        }
        upstream.stop()
        let journal = folder.path("store", "journal.jsonl")
        try FileManager.default.removeItem(atPath: journal)
        if !isRemoved { try Data(count: 4096).write(to: URL(fileURLWithPath: journal)) }
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.get("/v2/library/nginx/manifests/latest")
            #expect(response.header("x-amargo-cache") == "STALE")
            #expect(response.body == image.manifest.bytes)
            for blob in image.blobs { #expect(try await server.blob(blob.digest).body == blob.bytes) }
        }
    }

    @Test("a blob that somebody deletes or shortens on the disk is fetched anew, never served wrong", arguments: [true, false])
    func damagedFile(_ isRemoved: Bool) async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 200_000, seed: 51)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
        }
        let hex = digest.dropFirst(7)
        let file = folder.path("store", "blobs", "sha256", String(hex.prefix(2)), String(hex))
        try FileManager.default.removeItem(atPath: file)
        if !isRemoved { try Data(bytes.prefix(1000)).write(to: URL(fileURLWithPath: file)) }
        try await ServerHarness.run(upstream, options) { server async throws in
            for _ in 0..<2 {
                let response = try await server.blob(digest)
                #expect(response.isComplete)
                #expect(response.body == bytes)
            }
            #expect(upstream.requests("GET", contains: digest).count == 2)
        }
    }

    @Test("a download of which only the last step was missing is whole, and nobody is asked")
    func completePartial() async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 17 << 20, seed: 54)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { _ async throws in }
        let name = "\(digest.replacingOccurrences(of: ":", with: "-")).77"
        try Data(bytes).write(to: URL(fileURLWithPath: folder.path("store", "spool", name)))
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.blob(digest)
            #expect(response.body == bytes)
            try await server.waitUntilStored(digest)
            #expect(upstream.requests.isEmpty)
        }
    }

    @Test("a blob that is shortened under a running server is fetched anew")
    func shortened() async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 3 << 20, seed: 55)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        try await ServerHarness.run(upstream, .init(storePath: folder.path("store"))) { server async throws in
            for _ in 0..<2 { _ = try await server.blob(digest) }
            try await server.waitUntilStored(digest)
            _ = try await server.blob(digest)
            let hex = digest.dropFirst(7)
            let file = folder.path("store", "blobs", "sha256", String(hex.prefix(2)), String(hex))
            try await Shell.run("chmod", "u+w", file)
            try await Shell.run("truncate", "-s", "1000", file)
            #expect(try await server.blob(digest).body == bytes)
            #expect(upstream.requests("GET", contains: digest).count == 2)
        }
    }

    @Test("a bit that the disk forgot is found at the first hit after a start", arguments: [1000, 3 << 20])
    func flippedBit(_ size: Int) async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: size, seed: 53)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        let options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            _ = try await server.blob(digest)
            try await server.waitUntilStored(digest)
        }
        let hex = digest.dropFirst(7)
        let file = folder.path("store", "blobs", "sha256", String(hex.prefix(2)), String(hex))
        var damaged = bytes
        damaged[size / 2] ^= 1
        try FileManager.default.removeItem(atPath: file)
        try Data(damaged).write(to: URL(fileURLWithPath: file))
        try await ServerHarness.run(upstream, options) { server async throws in
            let first = try await server.blob(digest)
            // Small content is hashed before it is sent; large content at once afterwards.
            if size <= 1 << 20 { #expect(first.body == bytes) }
            try await eventually("right content is served again") { try await server.blob(digest).body == bytes }
            #expect(upstream.requests("GET", contains: digest).count == 2)
            let kept = try FileManager.default.contentsOfDirectory(atPath: folder.path("store", "quarantine"))
            #expect(kept == ["sha256-\(hex)"])
        }
    }

    /// What the disk and the upstream make of a partial download after a restart.
    enum Aftermath: CaseIterable, Sendable {
        case resumed, rangeIgnored, damaged
    }

    @Test("a large download that broke off is gone on with after a restart, hashed again", arguments: Aftermath.allCases)
    func partial(_ aftermath: Aftermath) async throws {
        let folder = try TemporaryDirectory()
        let upstream = try ScriptedUpstream()
        let bytes = Fixtures.pseudoRandomBytes(count: 24 << 20, seed: 52)
        let digest = upstream.addBlob(bytes, in: "library/nginx")
        upstream.script(.blob(digest), .closeAfter(bytes: 20 << 20))
        upstream.scriptForever(.blob(digest), .status(500))
        let options = ServerHarness.Options(storePath: folder.path("store"))
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.blob(digest)
            #expect(!response.isComplete)
            try await eventually("the download has ended") { server.cache.downloads.count == 0 }
        }
        let spool = folder.path("store", "spool")
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: spool).first)
        if aftermath == .damaged {
            let handle = try #require(FileHandle(forUpdatingAtPath: "\(spool)/\(name)"))
            try handle.seek(toOffset: 1000)
            try handle.write(contentsOf: Data([bytes[1000] ^ 1]))
            try handle.close()
        }
        upstream.clearScripts()
        if aftermath == .rangeIgnored { upstream.scriptForever(.blob(digest), .ignoreRange) }
        let before = upstream.requests.count
        try await ServerHarness.run(upstream, options) { server async throws in
            let response = try await server.blob(digest)
            let ranges = upstream.requests.dropFirst(before).map { $0.header("range") }
            let range = try #require(ranges.first ?? nil)
            let start = try #require(Int(range.dropFirst("bytes=".count).dropLast()))
            #expect((16 << 20...20 << 20).contains(start))
            if aftermath == .damaged {
                #expect(!response.isComplete, "the tail must not go out for content that is not its digest")
                #expect(try await server.blob(digest).body == bytes)
            } else {
                #expect(response.isComplete)
                #expect(response.body == bytes)
            }
            try await server.waitUntilStored(digest)
            try await server.expectQuiet()
        }
    }
}
