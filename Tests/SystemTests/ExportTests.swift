import Foundation
import Testing

extension SystemTests {
    /// `amargo export` and `amargo receipt`, and what other programs make of the bundles.
    @Suite("Export")
    struct ExportTests {
        private static let line = "carried by amargo"

        private static func run(
            _ arguments: [String], _ amargo: AmargoProcess, preloaded: URL? = nil
        ) async throws -> Command.Result {
            var command = Command(try AmargoProcess.binary(), arguments + ["--config", amargo.configuration.path])
            if let preloaded { command.environment["LD_PRELOAD"] = preloaded.path }
            return try await command.outcome()
        }

        /// Pulls an image by plain requests, and waits until it is stored.
        private static func pull(_ image: FixtureImage, _ name: String, _ tag: String, _ amargo: AmargoProcess) async throws {
            let repository = "\(amargo.url)/v2/\(name)"
            let manifests = image.manifests.map { "\(repository)/manifests/\($0.digest)" }
            for url in ["\(repository)/manifests/\(tag)"] + manifests + image.blobs.map({ "\(repository)/blobs/\($0.digest)" }) {
                try await eventually("HIT for \(url)") { try await Curl.get(url).headers["x-amargo-cache"] == "HIT" }
            }
        }

        private static func sha256(_ file: String) async throws -> String {
            try await FixtureImages.digest(of: URL(fileURLWithPath: file))
        }

        private static func names(in folder: URL) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        }

        /// Compiles one of the small libraries that are loaded into a program before all others.
        private static func library(_ name: String, _ lab: Lab) async throws -> URL {
            let library = lab.folder.appendingPathComponent("\(name).so")
            let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Programs/\(name).c")
            try await Command(
                try Program(name: "cc", package: "gcc").url(), ["-fPIC", "-shared", "-o", library.path, source.path]
            ).run()
            return library
        }

        @Test("skopeo, podman, buildah and umoci read a bundle, and every digest is the upstream's")
        func readers() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                let multi = try await lab.images.index(printing: Self.line, as: .oci)
                let single = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 1, layerSize: 100_000)
                for (image, name) in [(multi, "library/multi"), (single, "library/single")] {
                    try await upstream.push(image, as: name, tag: "v1")
                    try await Self.pull(image, name, "v1", amargo)
                }
                let out = try lab.newFolder("out")
                // Beside the running server.
                for output in ["\(out.path)/bundle.tar", "\(out.path)/bundle/", "\(out.path)/again.tar"] {
                    let result = try await Self.run(["export", "multi:v1", "single:v1", "-o", output], amargo)
                    #expect(result.exit == .code(0), "\(result.text) \(result.errorText)")
                    #expect(result.text.contains("docker.io/library/multi:v1   \(multi.root.digest.dropFirst(7).prefix(12))"))
                }
                try await Command(
                    try Program(name: "cmp", package: "diffutils").url(), ["\(out.path)/bundle.tar", "\(out.path)/again.tar"]
                )
                .run()
                #expect(try Self.names(in: out) == ["again.tar", "bundle", "bundle.tar"])
                for source in ["oci-archive:\(out.path)/bundle.tar", "oci:\(out.path)/bundle"] {
                    for (image, name) in [(multi, "multi"), (single, "single")] {
                        let reference = "\(source):docker.io/library/\(name):v1"
                        let target = try lab.newFolder("copy").path
                        try await Command(.skopeo, ["--insecure-policy", "copy", "--all", reference, "dir:\(target)/image"]).run()
                        #expect(try await Self.sha256("\(target)/image/manifest.json") == image.root.digest)
                        for blob in image.blobs {
                            #expect(try await Self.sha256("\(target)/image/\(blob.digest.dropFirst(7))") == blob.digest)
                        }
                        for kind in [Program.podman, .buildah] {
                            let pulled = try await Self.pull(reference, by: kind, in: lab)
                            #expect(pulled.succeeded, "\(kind.name) \(reference): \(pulled.errorText)")
                        }
                    }
                }
                let unpacked = try lab.newFolder("umoci").path
                try await Command(
                    .umoci, ["unpack", "--image", "\(out.path)/bundle:docker.io/library/single:v1", "\(unpacked)/bundle"]
                ).run()
                #expect(FileManager.default.fileExists(atPath: "\(unpacked)/bundle/rootfs/bin/busybox"))
            }
        }

        private static func pull(_ reference: String, by program: Program, in lab: Lab) async throws -> Command.Result {
            let folder = try lab.newFolder(program.name)
            let policy = folder.appendingPathComponent(".config/containers")
            try FileManager.default.createDirectory(at: policy, withIntermediateDirectories: true)
            try Data(#"{"default":[{"type":"insecureAcceptAnything"}]}"#.utf8).write(
                to: policy.appendingPathComponent("policy.json"))
            let storage = ["--root", "\(folder.path)/root", "--runroot", "\(folder.path)/run", "--storage-driver", "vfs"]
            var command = try Command(
                program, storage + (program.name == "podman" ? ["--runtime", "runc"] : []) + ["pull", reference])
            command.environment = ["HOME": folder.path, "XDG_RUNTIME_DIR": folder.path]
            return try await command.outcome()
        }

        @Test("the report and the exit code say what is there and what is not: all, some, none, and --strict")
        func report() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                let multi = try await lab.images.index(printing: Self.line, as: .oci)
                let docker = try await lab.images.image(printing: Self.line, as: .docker)
                try await upstream.push(multi, as: "library/multi", tag: "v1")
                try await upstream.push(docker, as: "library/docker", tag: "v1")
                try await Self.pull(docker, "library/docker", "v1", amargo)
                // As an engine of the own platform pulls it.
                let own = FixtureImage(
                    folder: multi.folder, blobs: [multi.blobs[0], multi.blobs[1]], manifests: [multi.manifests[0]],
                    root: multi.root)
                try await Self.pull(own, "library/multi", "v1", amargo)
                #expect(await amargo.terminate() == .code(0))
                let out = try lab.newFolder("out")
                let bundle = "\(out.path)/bundle.tar"

                let all = try await Self.run(["export", "multi:v1", "docker:v1", "-o", bundle], amargo)
                #expect(all.exit == .code(0), "\(all.text) \(all.errorText)")
                let other = FixtureImages.platforms.other.text
                #expect(
                    all.text.contains(
                        "docker.io/library/multi:v1: \(other): not stored; amargo warm --platform \(other) docker.io/library/multi:v1\n"
                    ))
                #expect(all.text.contains("note: 1 image has Docker's media types, carried unconverted"))
                #expect(all.text.contains("\nWrote \(bundle): 2 images, "))
                let strict = try await Self.run(["export", "multi:v1", "-o", "\(out.path)/strict.tar", "--strict"], amargo)
                #expect(strict.exit == .code(2) && strict.text.hasSuffix("--strict allows no gap"))
                let chosen = try await Self.run(
                    [
                        "export", "multi:v1", "-o", "\(out.path)/own.tar", "--strict", "--platform",
                        FixtureImages.platforms.own.text,
                    ],
                    amargo)
                #expect(chosen.exit == .code(0), "\(chosen.text)")

                let list = out.appendingPathComponent("list")
                try Data("# what we need\nmulti:v1   # the base\n\nno/such:v2\n".utf8).write(to: list)
                let some = try await Self.run(["export", "--from-file", list.path, "-o", "-"], amargo)
                #expect(some.exit == .code(1))
                #expect(some.errorText.contains("docker.io/no/such:v2: the image: not stored; amargo warm docker.io/no/such:v2"))
                try some.output.write(to: out.appendingPathComponent("piped.tar"))
                let piped = try await Command(.tar, ["-tf", "\(out.path)/piped.tar"]).run().text
                #expect(piped.contains("blobs/sha256/\(multi.root.digest.dropFirst(7))"))

                let none = try await Self.run(["export", "no/such:v2", "-o", "\(out.path)/none.tar", "--format", "json"], amargo)
                #expect(none.exit == .code(2))
                let lines = try none.text.split(separator: "\n").map {
                    try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
                }
                #expect(lines.map { $0["event"] as? String } == ["image", "bundle"])
                #expect(lines[0]["state"] as? String == "left-out" && lines[1]["written"] as? Bool == false)
                for arguments in [
                    ["export", "-o", bundle], ["export", "--all", "x", "-o", bundle], ["export", "x"],
                    ["export", "Not:A:Name", "-o", bundle],
                    ["export", "x", "-o", "\(bundle).gz"], ["export", "x", "-o", bundle, "--platform", "linux"],
                    ["export", "x", "-o", bundle, "--split", "much"],
                ] { #expect(try await Self.run(arguments, amargo).exit == .code(64), "\(arguments)") }
                #expect(try Self.names(in: out) == ["bundle.tar", "list", "own.tar", "piped.tar"])
            }
        }

        @Test("a new version travels as what is new: the receipt, the delta, in parts")
        func delta() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                let old = try await lab.images.image(printing: "old", as: .oci, randomLayers: 1, layerSize: 100_000)
                try await upstream.push(old, as: "library/app", tag: "v1")
                try await Self.pull(old, "library/app", "v1", amargo)
                let out = try lab.newFolder("out")
                let receipt = try await Self.run(["receipt", "-o", "\(out.path)/receipt"], amargo)
                #expect(receipt.exit == .code(0), "\(receipt.errorText)")
                #expect(receipt.text.hasPrefix("Wrote \(out.path)/receipt: \(old.blobs.count + 1) blobs of the store "))
                let piped = try await Self.run(["receipt", "-o", "-"], amargo)
                #expect(piped.output.count == (try Data(contentsOf: out.appendingPathComponent("receipt"))).count)

                let new = try await lab.images.image(printing: "new", as: .oci, randomLayers: 1, layerSize: 2_000_000)
                try await upstream.push(new, as: "library/app", tag: "v2")
                try await Self.pull(new, "library/app", "v2", amargo)
                let result = try await Self.run(
                    ["export", "app:v2", "-o", "\(out.path)/delta.tar", "--since", "\(out.path)/receipt", "--split", "1MiB"],
                    amargo)
                #expect(result.exit == .code(0), "\(result.text) \(result.errorText)")
                #expect(result.text.contains("in 2 parts; ") && result.text.contains("1 blob, "), "\(result.text)")
                try await Command(
                    .shell, ["-c", "cd '\(out.path)' && sha256sum -c --quiet delta.tar.sha256 && cat delta.tar.00? > whole.tar"]
                ).run()
                let members = try await Command(.tar, ["-tf", "\(out.path)/whole.tar"]).run().text.split(separator: "\n").map(
                    String.init)
                let known = Set(old.blobs.map(\.digest))
                let expected = (new.blobs + [new.root]).map(\.digest).filter { !known.contains($0) }
                #expect(members == ["oci-layout", "index.json"] + expected.map { "blobs/sha256/\($0.dropFirst(7))" }.sorted())
                let broken = try await Self.run(
                    ["export", "app:v2", "-o", "\(out.path)/no.tar", "--since", "\(out.path)/delta.tar.sha256"], amargo)
                #expect(broken.exit == .code(2) && broken.errorText.contains("is not a receipt"))
            }
        }

        @Test("killed, an export leaves no target; interrupted, it leaves nothing", arguments: ["bundle.tar", "bundle/"])
        func killed(_ name: String) async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                let image = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 1, layerSize: 8 << 20)
                try await upstream.push(image, as: "library/app", tag: "v1")
                try await Self.pull(image, "library/app", "v1", amargo)
                let slow = try await Self.library("slowwrites", lab)
                for signal in [SIGKILL, SIGINT, SIGTERM] {
                    let out = try lab.newFolder("out")
                    let errors = out.deletingLastPathComponent().appendingPathComponent("errors-\(signal)")
                    try Data().write(to: errors)
                    let handle = try FileHandle(forWritingTo: errors)
                    let child = try ChildProcess(
                        try AmargoProcess.binary(),
                        ["export", "app:v1", "--copy", "-o", "\(out.path)/\(name)", "--config", amargo.configuration.path],
                        environment: Program.environment.merging(["LD_PRELOAD": slow.path]) { $1 }, output: handle, errors: handle
                    )
                    // The first line is written when it begins to write.
                    try await eventually("it has begun") {
                        try String(contentsOf: errors, encoding: .utf8).hasPrefix("Exporting 1 image, ")
                    }
                    child.send(signal)
                    let exit = await child.exited()
                    try handle.close()
                    let said = try String(contentsOf: errors, encoding: .utf8)
                    if signal == SIGKILL {
                        #expect(exit == .signal(SIGKILL))
                        // Only a folder has a name while it is made, and not its own.
                        #expect(try Self.names(in: out).allSatisfy { name == "bundle/" && $0.hasPrefix(".amargo-export-") })
                    } else {
                        #expect(exit == .code(130), "\(said)")
                        #expect(try Self.names(in: out) == [])
                        #expect(
                            try String(contentsOf: errors, encoding: .utf8).contains("amargo: interrupted; nothing was written\n")
                        )
                    }
                }
            }
        }

        @Test("a full disk ends in one sentence and leaves nothing", SystemTests.needsRoot)
        func full() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                let image = try await lab.images.image(printing: Self.line, as: .oci, randomLayers: 1, layerSize: 4 << 20)
                try await upstream.push(image, as: "library/app", tag: "v1")
                try await Self.pull(image, "library/app", "v1", amargo)
                let mount = try lab.newFolder("small")
                try await Command(.mount, ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount.path]).run()
                do {
                    // One is foretold, the other is met.
                    for (name, words) in [("bundle.tar", "has room for"), ("bundle/", "there is no room left")] {
                        let result = try await Self.run(["export", "app:v1", "-o", "\(mount.path)/\(name)"], amargo)
                        #expect(result.exit == .code(2))
                        let complaints = result.errorText.split(separator: "\n").filter { $0.hasPrefix("amargo: ") }
                        #expect(complaints.count == 1 && complaints[0].contains(words), "\(result.errorText)")
                        #expect(try Self.names(in: mount) == [])
                    }
                } catch {
                    try await Command(.unmount, [mount.path]).run()
                    throw error
                }
                try await Command(.unmount, [mount.path]).run()
            }
        }

        @Test("where files have no links, what has a temporary name gets the right one, and a folder is made of copies")
        func withoutLinks() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let amargo = try await lab.amargo(upstream: upstream.url)
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                try await upstream.push(image, as: "library/app", tag: "v1")
                try await Self.pull(image, "library/app", "v1", amargo)
                let nolinks = try await Self.library("nolinks", lab)
                let out = try lab.newFolder("out")
                for name in ["bundle.tar", "bundle/", "split.tar"] {
                    let split = name == "split.tar" ? ["--split", "1MiB"] : []
                    let result = try await Self.run(
                        ["export", "app:v1", "-o", "\(out.path)/\(name)"] + split, amargo, preloaded: nolinks)
                    #expect(result.exit == .code(0), "\(result.text) \(result.errorText)")
                    #expect(result.text.contains("note: copied where links were not possible: ") == (name == "bundle/"))
                }
                #expect(
                    try Self.names(in: out) == ["bundle", "bundle.tar", "split.tar.001", "split.tar.002", "split.tar.sha256"])
                for blob in image.blobs {
                    #expect(try await Self.sha256("\(out.path)/bundle/blobs/sha256/\(blob.digest.dropFirst(7))") == blob.digest)
                }
            }
        }
    }
}
