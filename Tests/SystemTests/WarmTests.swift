import Foundation
import Testing

extension SystemTests {
    /// `warm` and `has`, with docker-registry as upstream: what was brought is all that a pull needs.
    @Suite("Warm")
    struct WarmTests {
        private static let line = "warmed by amargo"

        /// A configuration and a store, with no server.
        private static func idle(_ lab: Lab, upstream: String) throws -> AmargoProcess {
            try AmargoProcess(try lab.settings(upstream: upstream), in: try lab.newFolder("amargo"))
        }

        private static func amargo(_ arguments: [String], _ amargo: AmargoProcess, input: URL? = nil) async throws
            -> Command.Result
        {
            let all = arguments + ["--config", amargo.configuration.path]
            guard let input else { return try await Command(try AmargoProcess.binary(), all).outcome() }
            return try await Command(
                .shell,
                ["-c", "input=$1; shift; exec \"$@\" < \"$input\"", "sh", input.path, try AmargoProcess.binary().path] + all
            ).outcome()
        }

        private static func blobRequests(_ upstream: DockerRegistry) -> Int { upstream.requests("/blobs/sha256:") }

        @Test("a multi-platform image comes platform by platform, beside a server and without one", arguments: [true, false])
        func platforms(_ isServing: Bool) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.index(printing: Self.line, as: .oci)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let amargo =
                    isServing ? try await lab.amargo(upstream: upstream.url) : try Self.idle(lab, upstream: upstream.url)
                let own = FixtureImages.platforms.own.text
                let first = try await Self.amargo(["warm", "one:v1", "--platform", own], amargo)
                #expect(first.exit == .code(0), "\(first.errorText)")
                #expect(first.text.contains("docker.io/library/one:v1 (\(own)): fetched 2 blobs"), "\(first.text)")
                #expect(try await Self.amargo(["has", "one:v1"], amargo).exit == .code(0))
                let partial = try await Self.amargo(["has", "one:v1", "--all-platforms"], amargo)
                #expect(partial.exit == .code(1))
                #expect(partial.text.contains("docker.io/library/one:v1: partial"), "\(partial.text)")
                #expect(partial.text.contains(FixtureImages.platforms.other.text))
                let both = try await Self.amargo(["warm", "one:v1", "--platform", "linux/amd64,linux/arm64"], amargo)
                #expect(both.exit == .code(0), "\(both.errorText)")
                #expect(both.text.contains("were there already"), "\(both.text)")
                let before = Self.blobRequests(upstream)
                let again = try await Self.amargo(["warm", "one:v1", "--all-platforms"], amargo)
                #expect(again.exit == .code(0))
                #expect(again.text.contains("Nothing to do: the image is complete"), "\(again.text)")
                #expect(Self.blobRequests(upstream) == before)
                await upstream.stop()
                let whole = try await Self.amargo(["has", "one:v1", "--all-platforms", "--format", "json"], amargo)
                #expect(whole.exit == .code(0), "\(whole.text)")
                #expect(whole.text.contains(#""state":"complete","digest":"\#(image.root.digest)""#), "\(whole.text)")
                if !isServing { try await lab.start(amargo.daemon) { try await Curl.answers("\(amargo.url)/health") } }
                let skopeo = try await ImageClient(.skopeo, amargo: amargo, in: lab)
                for platform in [FixtureImages.platforms.own, FixtureImages.platforms.other] {
                    let pulled = try await skopeo.pull("docker.io/library/one:v1", platform: platform)
                    #expect(pulled.succeeded, "\(pulled.errorText)")
                }
                let listed = try await Self.amargo(
                    ["ls", "one", "--filter", "complete", "--platform", "linux/amd64,linux/arm64"], amargo)
                #expect(listed.text.contains("fresh"), "\(listed.text)")
            }
        }

        @Test("the exit code says whether all came, some or none, and has says what is there")
        func codes() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .docker)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let amargo = try Self.idle(lab, upstream: upstream.url)
                #expect(try await Self.amargo(["has", "one:v1"], amargo).exit == .code(2))
                let none = try await Self.amargo(["warm", "one:nowhere", "no-such.example/a:b"], amargo)
                #expect(none.exit == .code(2), "\(none.errorText)")
                #expect(none.errorText.contains("repositories.NAME.namespaces: [no-such.example]"), "\(none.errorText)")
                let some = try await Self.amargo(["warm", "one:v1", "one:nowhere", "--format", "json"], amargo)
                #expect(some.exit == .code(1))
                #expect(some.text.contains(#""kind":"warmed","image":"docker.io/library/one:v1""#), "\(some.text)")
                #expect(some.text.contains(#""kind":"warmFailed","image":"docker.io/library/one:nowhere""#), "\(some.text)")
                #expect(some.text.contains(#""kind":"warmSummary","complete":1,"unchanged":0,"failed":1"#), "\(some.text)")
                #expect(try await Self.amargo(["has", "one:v1"], amargo).exit == .code(0))
                #expect(try await Self.amargo(["has", "one:v1", "one:other"], amargo).exit == .code(2))
                // A layer that is gone from the disk is missing, whatever the journal says.
                let hex = String(image.blobs[0].digest.dropFirst("sha256:".count))
                try FileManager.default.removeItem(
                    at: amargo.settings.store.appendingPathComponent("blobs/sha256/\(hex.prefix(2))/\(hex)"))
                let partial = try await Self.amargo(["has", "one:v1"], amargo)
                #expect(partial.exit == .code(1))
                #expect(partial.text.contains(image.blobs[0].digest))
                #expect(try await Self.amargo(["warm"], amargo).exit == .code(64))
                #expect(try await Self.amargo(["warm", "x", "--platform", "amd64"], amargo).exit == .code(64))
                #expect(try await Self.amargo(["warm", "Bad:Name:x"], amargo).exit == .code(64))
                await upstream.stop()
                let offline = try await Self.amargo(["warm", "one:v2"], amargo)
                #expect(offline.exit == .code(2))
                #expect(offline.errorText.contains("cannot be reached"), "\(offline.errorText)")
            }
        }

        @Test("lists, Kubernetes manifests and Compose files name images, from files and from standard input")
        func files() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                for name in ["library/one", "org/two", "org/three"] { try await upstream.push(image, as: name, tag: "v1") }
                let amargo = try Self.idle(lab, upstream: upstream.url)
                let folder = try lab.newFolder("lists")
                let list = folder.appendingPathComponent("images.txt")
                try Data("# what we run\none:v1\n\norg/two:v1 # twice\norg/two:v1\n".utf8).write(to: list)
                let manifest = folder.appendingPathComponent("pod.yaml")
                try Data(
                    """
                    apiVersion: v1
                    kind: Pod
                    spec:
                      containers:
                      - image: docker.io/org/two:v1
                      - image: org/three:v1
                    """.utf8
                ).write(to: manifest)
                let compose = folder.appendingPathComponent("compose.yaml")
                try Data(
                    """
                    services:
                      web: {image: "org/three:${TAG:-v1}"}
                      app: {build: .}
                    """.utf8
                ).write(to: compose)
                let first = try await Self.amargo(["warm", "--from-file", list.path], amargo)
                #expect(first.exit == .code(0), "\(first.errorText)")
                #expect(first.text.contains("2 of 2 images complete"), "\(first.text)")
                let second = try await Self.amargo(
                    ["warm", "--from-file", manifest.path, "--from-file", compose.path, "--from-file", "-"], amargo, input: list)
                #expect(second.exit == .code(0), "\(second.errorText)")
                #expect(second.text.contains("3 of 3 images complete, 2 of them before"), "\(second.text)")
                #expect(second.errorText.contains("the service app is built, not pulled"), "\(second.errorText)")
                let broken = folder.appendingPathComponent("broken.txt")
                try Data("one:v1\nNot A Name\n".utf8).write(to: broken)
                let some = try await Self.amargo(["warm", "--from-file", broken.path], amargo)
                #expect(some.exit == .code(1))
                #expect(some.errorText.contains("broken.txt, line 2"), "\(some.errorText)")
                #expect(try await Self.amargo(["warm", "--from-file", folder.path], amargo).exit == .code(2))
            }
        }

        @Test("a list has an end, in bytes and in names")
        func limits() async throws {
            try await Lab.run { lab in
                let amargo = try Self.idle(lab, upstream: "http://127.0.0.1:9")
                let folder = try lab.newFolder("lists")
                let (long, many) = (folder.appendingPathComponent("long"), folder.appendingPathComponent("many"))
                try Data(repeating: UInt8(ascii: "#"), count: (16 << 20) + 1).write(to: long)
                try Data((0...10_000).map { "org/image:\($0)\n" }.joined().utf8).write(to: many)
                for (file, reason) in [(long, "is larger than 16 MiB"), (many, "10001 images are too many for one run")] {
                    let result = try await Self.amargo(["warm", "--from-file", file.path], amargo)
                    #expect(result.exit == .code(2))
                    #expect(result.errorText.contains(reason), "\(result.errorText)")
                }
                #expect(!FileManager.default.fileExists(atPath: amargo.settings.store.path))
            }
        }

        @Test("a store that cannot be written to takes nothing, and says so", SystemTests.needsRoot)
        func readOnly() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                for tag in ["v1", "v2"] { try await upstream.push(image, as: "library/\(tag)", tag: tag) }
                let writer = try Self.idle(lab, upstream: upstream.url)
                #expect(try await Self.amargo(["warm", "v1:v1"], writer).exit == .code(0))
                let mount = try lab.newFolder("readonly")
                try await Command(.mount, ["--bind", writer.settings.store.path, mount.path]).run()
                do {
                    try await Command(.mount, ["-o", "remount,ro,bind", mount.path]).run()
                    var settings = writer.settings
                    settings.store = mount
                    let reader = try AmargoProcess(settings, in: try lab.newFolder("amargo"))
                    let refused = try await Self.amargo(["warm", "v2:v2"], reader)
                    #expect(refused.exit == .code(2))
                    #expect(refused.errorText.contains("read-only"), "\(refused.errorText)")
                    #expect(try await Self.amargo(["has", "v1:v1"], reader).exit == .code(0))
                    #expect(try await Self.amargo(["has", "v2:v2"], reader).exit == .code(2))
                } catch {
                    try await Command(.unmount, [mount.path]).run()
                    throw error
                }
                try await Command(.unmount, [mount.path]).run()
            }
        }

        @Test(
            "what does not fit under the cap is not stored, and that is a failure with the cap's name", arguments: [true, false])
        func cap(_ isServing: Bool) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 2, layerSize: 2 << 20)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let amargo = try Self.idle(lab, upstream: upstream.url)
                let file = try FileHandle(forWritingTo: amargo.configuration)
                try file.seekToEnd()
                try file.write(contentsOf: Data("\ncache:\n  repositories:\n    docker:\n      maxSize: 3MB\n".utf8))
                try file.close()
                if isServing { try await lab.start(amargo.daemon) { try await Curl.answers("\(amargo.url)/health") } }
                let result = try await Self.amargo(["warm", "one:v1"], amargo)
                #expect(result.exit == .code(2))
                #expect(result.errorText.contains("would pass the cap of docker.io (3000000 bytes)"), "\(result.errorText)")
                #expect(try await Self.amargo(["has", "one:v1"], amargo).exit == .code(1))
            }
        }

        @Test("interrupted, it ends soon, here and in the server, and the next run goes on", arguments: [true, false])
        func interrupted(_ isServing: Bool) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 1, layerSize: 3 << 20)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let throttle = try await lab.throttle(upstream, bytesPerSecond: 2 << 20)
                let amargo =
                    isServing ? try await lab.amargo(upstream: throttle.url) : try Self.idle(lab, upstream: throttle.url)
                let log = try lab.newFolder("log").appendingPathComponent("warm.log")
                try Data().write(to: log)
                let handle = try FileHandle(forWritingTo: log)
                let child = try ChildProcess(
                    try AmargoProcess.binary(), ["warm", "one:v1", "--config", amargo.configuration.path],
                    environment: Program.environment, output: handle, errors: handle)
                try handle.close()
                let spool = amargo.settings.store.appendingPathComponent("spool").path
                try await eventually("a layer is coming") {
                    // Before the store is made there is none.
                    (try? FileManager.default.contentsOfDirectory(atPath: spool).isEmpty) == false
                }
                child.send(SIGINT)
                #expect(await child.exited(within: .seconds(20)) == .code(130))
                #expect(try String(contentsOf: log, encoding: .utf8).contains("interrupted"))
                if isServing {
                    try await eventually("the server has ended its download") {
                        try FileManager.default.contentsOfDirectory(atPath: spool).isEmpty
                    }
                }
                #expect(try await Self.amargo(["warm", "one:v1"], amargo).exit == .code(0))
                #expect(try await Self.amargo(["has", "one:v1"], amargo).exit == .code(0))
            }
        }

        @Test("a server that starts meanwhile has the store at once, and brings the rest")
        func handOver() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 1, layerSize: 4 << 20)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let throttle = try await lab.throttle(upstream, bytesPerSecond: 2 << 20)
                let amargo = try Self.idle(lab, upstream: throttle.url)
                async let warming = Self.amargo(["warm", "one:v1"], amargo)
                let socket = amargo.settings.store.appendingPathComponent("amargo.sock").path
                let spool = amargo.settings.store.appendingPathComponent("spool").path
                try await eventually("a layer is coming") {
                    FileManager.default.fileExists(atPath: socket)
                        && (try? FileManager.default.contentsOfDirectory(atPath: spool).isEmpty) == false
                }
                try await lab.start(amargo.daemon) { try await Curl.answers("\(amargo.url)/health") }
                let result = try await warming
                #expect(result.exit == .code(0), "\(result.errorText)")
                #expect(result.errorText.contains("going on through it"), "\(result.errorText)")
                #expect(result.text.contains("1 of 1 image complete"), "\(result.text)")
                #expect(try await Self.amargo(["has", "one:v1"], amargo).exit == .code(0))
            }
        }

        @Test("on a terminal progress stands in its place and is gone at the end")
        func terminal() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 1, layerSize: 3 << 20)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let throttle = try await lab.throttle(upstream, bytesPerSecond: 2 << 20)
                let amargo = try Self.idle(lab, upstream: throttle.url)
                let command =
                    "stty cols 60 rows 24; '\(try AmargoProcess.binary().path)' warm one:v1 --config '\(amargo.configuration.path)'"
                var script = try Command(Program(name: "script", package: "bsdutils"), ["-qec", command, "/dev/null"])
                script.environment = ["TERM": "xterm"]
                let result = try await script.outcome()
                #expect(result.exit == .code(0), "\(result.text)")
                let parts = result.text.components(separatedBy: "\u{1B}[J")
                #expect(
                    parts.contains { $0.contains(" % of ") && $0.contains("0 of 1 image") }, "\(result.text.debugDescription)")
                // The last block is taken away, and only results are left.
                #expect(parts.last?.contains("1 of 1 image complete") == true)
                #expect(!(parts.last?.contains(" % of ") ?? true))
                let lines = result.text.components(separatedBy: CharacterSet.newlines).filter { $0.contains(" % of ") }
                #expect(!lines.isEmpty)
                for line in lines {
                    let shown = line.replacingOccurrences(of: "\u{1B}\\[[0-9]*[A-Z]", with: "", options: .regularExpression)
                        .trimmingCharacters(in: .newlines)
                    #expect(shown.count < 60, "\(shown)")
                }
            }
        }
    }
}
