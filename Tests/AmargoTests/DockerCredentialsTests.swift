import Foundation
import TestSupport
import Testing
import Upstream

@testable import amargo

/// What `docker login` leaves: https://docs.docker.com/reference/cli/docker/login/. Base 64 is from `base64(1)`.
struct DockerCredentialsTests {
    private let folder: TemporaryDirectory

    init() throws { self.folder = try TemporaryDirectory() }

    private func find(_ json: String, _ address: String) async throws -> Credential? {
        let path = self.folder.path("config.json")
        try Data(json.utf8).write(to: URL(fileURLWithPath: path))
        let source = DockerCredentials(file: try WatchedFile(path), searchPath: self.folder.path("bin"))
        return try await source.credential(for: try #require(UpstreamAddress(address)), rejected: nil)
    }

    private func helper(_ name: String, _ script: String) throws {
        let folder = URL(fileURLWithPath: self.folder.path("bin"))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("docker-credential-\(name)")
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    }

    @Test(
        "Docker Hub and others, by the names that Docker gives them",
        arguments: [
            ("https://index.docker.io/v1/", "https://registry-1.docker.io", true),
            ("docker.io", "https://registry-1.docker.io", true),
            ("ghcr.io", "https://ghcr.io", true), ("https://ghcr.io", "https://ghcr.io", true),
            ("https://ghcr.io/v2/", "https://ghcr.io", true), ("localhost:5000", "http://localhost:5000", true),
            ("localhost", "http://localhost:5000", false), ("ghcr.io", "https://quay.io", false),
            ("evil-ghcr.io", "https://ghcr.io", false), ("https://index.docker.io/v1/", "https://ghcr.io", false),
        ])
    func names(_ key: String, _ address: String, _ isFound: Bool) async throws {
        // printf 'me:pa:ss' | base64
        let found = try await self.find(#"{"auths":{"\#(key)":{"auth":"bWU6cGE6c3M="}}}"#, address)
        #expect(found == (isFound ? Credential(username: "me", secret: .password("pa:ss")) : nil))
    }

    @Test("exactly as Docker writes it comes first; a longer path is another account's")
    func several() async throws {
        // printf 'me:right' | base64; printf 'me:wrong' | base64
        let json =
            #"{"auths":{"r.example/team":{"auth":"bWU6d3Jvbmc="},"r.example":{"auth":"bWU6cmlnaHQ="},"#
            + #""https://r.example/v1/other":{"auth":"bWU6d3Jvbmc="}}}"#
        for _ in 0..<5 {
            #expect(try await self.find(json, "https://r.example") == Credential(username: "me", secret: .password("right")))
        }
        #expect(try await self.find(#"{"auths":{"r.example/team":{"auth":"bWU6d3Jvbmc="}}}"#, "https://r.example") == nil)
    }

    @Test(
        "a helper that hangs, whatever it leaves behind, is ended; one that talks without end is cut",
        arguments: ["sleep 60", "trap '' TERM; sleep 60 & sleep 60", "yes"])
    func endless(_ script: String) async throws {
        try self.helper("endless", script)
        _ = signal(SIGPIPE, SIG_IGN)  // as the server has it
        let path = self.folder.path("config.json")
        try Data(#"{"credsStore":"endless"}"#.utf8).write(to: URL(fileURLWithPath: path))
        var source = DockerCredentials(file: try WatchedFile(path), searchPath: self.folder.path("bin"))
        source.helperLimit = .milliseconds(500)
        let start = ContinuousClock.now
        await #expect(throws: SettingsError.self) {
            try await source.credential(for: try #require(UpstreamAddress("https://r.example")), rejected: nil)
        }
        #expect(start.duration(to: .now) < .seconds(30))
    }

    @Test("an identity token is no password")
    func identityToken() async throws {
        // printf '00000000-0000-0000-0000-000000000000:' | base64
        let json =
            #"{"auths":{"r.example":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"tok"}}}"#
        let expected = Credential(username: "00000000-0000-0000-0000-000000000000", secret: .identityToken("tok"))
        #expect(try await self.find(json, "https://r.example") == expected)
    }

    @Test("a helper is asked by name on standard input; one of its own is before the store for all")
    func helpers() async throws {
        try self.helper("one", #"read -r name; echo "{\"Username\":\"one\",\"Secret\":\"for $name\"}""#)
        try self.helper("all", #"read -r name; echo "{\"Username\":\"<token>\",\"Secret\":\"for $name\"}""#)
        let json = #"{"credsStore":"all","credHelpers":{"r.example":"one"},"auths":{"r.example":{}}}"#
        #expect(try await self.find(json, "https://r.example") == Credential(username: "one", secret: .password("for r.example")))
        #expect(
            try await self.find(json, "https://s.example")
                == Credential(username: "<token>", secret: .identityToken("for s.example")))
    }

    @Test("a helper that knows nothing is no error; one that fails, is missing or talks nonsense is named, and its words are not")
    func badHelpers() async throws {
        try self.helper("empty", "echo credentials not found in native keychain; exit 1")
        #expect(try await self.find(#"{"credsStore":"empty"}"#, "https://r.example") == nil)
        try self.helper("broken", "echo canary-secret; exit 3")
        try self.helper("nonsense", "echo canary-secret")
        for name in ["broken", "nonsense", "missing", "../../bin/sh"] {
            let error = await #expect(throws: SettingsError.self) {
                try await self.find(#"{"credsStore":"\#(name)"}"#, "https://r.example")
            }
            #expect("\(try #require(error))".contains("docker-credential-\(name)"))
            #expect(!"\(try #require(error))".contains("canary"))
        }
    }

    @Test("a source is asked once for a while, and again when what it gave was refused")
    func remembered() async throws {
        try self.helper(
            "count",
            #"echo x >> "$(dirname "$0")/count"; echo "{\"Username\":\"u\",\"Secret\":\"$(wc -l < "$(dirname "$0")/count")\"}""#)
        let path = self.folder.path("config.json")
        try Data(#"{"credsStore":"count"}"#.utf8).write(to: URL(fileURLWithPath: path))
        let source = RememberedCredential(
            DockerCredentials(file: try WatchedFile(path), searchPath: "\(self.folder.path("bin")):/usr/bin:/bin"))
        let address = try #require(UpstreamAddress("https://r.example"))
        let first = try await source.credential(for: address, rejected: nil)
        #expect(try await source.credential(for: address, rejected: nil) == first)
        let second = try await source.credential(for: address, rejected: first)
        #expect(second != first)
        #expect(try await source.credential(for: address, rejected: first) == second, "somebody else has had it renewed")
    }

    @Test("a file that can no longer be read says what it said last")
    func watched() throws {
        let path = self.folder.path("secret")
        try Data("one".utf8).write(to: URL(fileURLWithPath: path))
        let file = try WatchedFile(path)
        try Data("two".utf8).write(to: URL(fileURLWithPath: path))
        #expect(file.text == "two")
        try FileManager.default.removeItem(atPath: path)
        #expect(file.text == "two")
    }
}
