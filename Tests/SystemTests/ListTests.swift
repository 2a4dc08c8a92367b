import Foundation
import Testing

extension SystemTests {
    /// `ls` chooses, sorts and says what an administrator asks for.
    @Suite("List")
    struct ListTests {
        private static func images(_ arguments: [String], _ amargo: AmargoProcess) async throws -> (
            exit: ChildProcess.Exit, names: [String]
        ) {
            let result = try await Command(
                try AmargoProcess.binary(), ["ls", "--format", "json"] + arguments + ["--config", amargo.configuration.path]
            ).outcome()
            let names = try result.text.split(separator: "\n").map { line in
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                return object?["image"] as? String ?? ""
            }
            return (result.exit, names)
        }

        @Test("output that cannot be written is no success", arguments: [["ls"], ["du"], ["stats"], ["has", "one:v1"]])
        func fullOutput(_ arguments: [String]) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "one", as: .oci)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let config = ["--config", amargo.configuration.path]
                #expect(try await Command(try AmargoProcess.binary(), ["warm", "one:v1"] + config).outcome().succeeded)
                let command = try AmargoProcess.binary().path
                let result = try await Command(
                    .shell, ["-c", "exec \"$@\" > /dev/full", "sh", command] + arguments + config
                ).outcome()
                #expect(result.exit == .code(1))
                #expect(result.errorText == "amargo: the output cannot be written: No space left on device")
            }
        }

        @Test("by name, pattern, platform and state, in the order that is asked for")
        func chosen() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let small = try await lab.images.index(printing: "small", as: .oci)
                let large = try await lab.images.image(printing: "large", as: .oci, randomLayers: 1, layerSize: 300_000)
                try await upstream.push(small, as: "library/one", tag: "v1")
                try await upstream.push(small, as: "org/one", tag: "v2")
                try await upstream.push(large, as: "org/two", tag: "v1")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let binary = try AmargoProcess.binary()
                let config = ["--config", amargo.configuration.path]
                #expect(try await Command(binary, ["warm", "one:v1", "org/two:v1"] + config).outcome().succeeded)
                #expect(try await Command(binary, ["warm", "org/one:v2", "--all-platforms"] + config).outcome().succeeded)
                let (one, two, both) = ("docker.io/library/one:v1", "docker.io/org/two:v1", "docker.io/org/one:v2")
                for (arguments, expected) in [
                    ([], [one, both, two]), (["one"], [one]), (["org"], [both, two]), (["docker.io/org/t"], [two]),
                    (["*:v1"], [one, two]), (["one:*"], [one]), (["org/*:v[12]"], [both, two]), (["*/one*"], [one, both]),
                    (["--sort", "size"], [two, one, both]), (["--platform", "linux/amd64,linux/arm64"], [one, both]),
                    (["--filter", "fresh", "--filter", "complete"], [one, both, two]),
                    (["org", "--filter", "tagged"], [both, two]),
                ] as [([String], [String])] {
                    let found = try await Self.images(arguments, amargo)
                    #expect(found.exit == .code(0), "\(arguments)")
                    #expect(found.names == expected, "\(arguments)")
                }
                for arguments in [
                    ["--filter", "stale"], ["--incomplete"], ["--filter", "imported"], ["--filter", "pinned"], ["*:v3"],
                ] {
                    let found = try await Self.images(arguments, amargo)
                    #expect(found.exit == .code(1), "\(arguments)")
                    #expect(found.names.isEmpty, "\(arguments)")
                }
                #expect(try await Command(binary, ["pin", "one:v1"] + config).outcome().succeeded)
                #expect(try await Self.images(["--filter", "pinned"], amargo).names == [one])
                #expect(try await Self.images(["--filter", "odd"], amargo).exit == .code(64))
                // A layer less, and it is not complete any more.
                #expect(await amargo.terminate() == .code(0))
                let hex = String(large.blobs[1].digest.dropFirst("sha256:".count))
                // And not from its layout's link either.
                let store = amargo.settings.store
                for path in ["blobs/sha256/\(hex.prefix(2))/\(hex)", "repositories/docker.io/org/two/_oci/blobs/sha256/\(hex)"] {
                    try FileManager.default.removeItem(at: store.appendingPathComponent(path))
                }
                _ = try await Command(binary, ["verify", "--repair"] + config).outcome()
                #expect(try await Self.images(["--incomplete"], amargo).names == [two])
            }
        }
    }
}
