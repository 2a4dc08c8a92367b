import Foundation
import Testing

extension SystemTests {
    /// What an administrator does to a store, beside a running server and without one.
    @Suite("Store commands")
    struct StoreCommandTests {
        private static let line = "served by amargo"

        private static func amargo(_ arguments: [String], _ amargo: AmargoProcess) async throws -> Command.Result {
            try await Command(try AmargoProcess.binary(), arguments + ["--config", amargo.configuration.path]).outcome()
        }

        /// Pulls an image by plain requests, as an engine does; returns how its parts were answered.
        private static func pull(_ image: FixtureImage, _ name: String, _ tag: String, _ amargo: AmargoProcess) async throws {
            #expect(try await Curl.get("\(amargo.url)/v2/\(name)/manifests/\(tag)").status == 200)
            for blob in image.blobs {
                #expect(try await Curl.get("\(amargo.url)/v2/\(name)/blobs/\(blob.digest)").status == 200)
            }
        }

        @Test("ls, pin, rm and gc say and do the same beside a server and without one")
        func bothWays() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                for name in ["library/one", "library/two"] { try await upstream.push(image, as: name, tag: "v1") }
                var said: [[String]] = []
                for isServing in [true, false] {
                    let amargo = try await lab.amargo(upstream: upstream.url)
                    try await Self.pull(image, "library/one", "v1", amargo)
                    try await Self.pull(image, "library/two", "v1", amargo)
                    if !isServing { #expect(await amargo.terminate() == .code(0)) }
                    var lines: [String] = []
                    for arguments in [
                        ["ls"], ["pin", "one:v1"], ["pin", "one:v1"], ["rm", "one:v1"], ["rm", "--dry-run", "two:v1"],
                        ["rm", "two:v1"],
                        ["rm", "two:v1"], ["gc", "--dry-run"], ["unpin", "one:v1"], ["rm", "one:v1", "no/such"], ["gc"], ["ls"],
                        ["ls", "nothing"], ["pin", "Not:A:Name"],
                    ] {
                        let result = try await Self.amargo(arguments, amargo)
                        lines.append("\(arguments) → \(result.exit)\n\(result.text)\n\(result.errorText)")
                    }
                    // The time of the pull and the journal's size are not what is compared.
                    said.append(lines.map { Self.withoutTimes($0) })
                    if isServing { #expect(await amargo.terminate() == .code(0)) }
                    try FileManager.default.removeItem(at: amargo.settings.store)
                }
                #expect(said[0] == said[1])
                let all = said[0].joined(separator: "\n")
                #expect(all.contains("Pinned docker.io/library/one:v1"))
                #expect(all.contains("docker.io/library/one:v1 was pinned already"))
                #expect(all.contains("docker.io/library/one:v1 is pinned"))
                #expect(all.contains("Removed docker.io/library/two:v1: 0 blobs"))
                #expect(all.contains("docker.io/library/two:v1 is not stored"))
                #expect(all.contains("Removed docker.io/library/one:v1: \(image.blobs.count + 1) blobs"))
                #expect(all.contains("docker.io/no/such:latest is not stored"))
            }
        }

        private static func withoutTimes(_ text: String) -> String {
            text.replacingOccurrences(of: #"\d{4}-\d\d-\d\d \d\d:\d\dZ"#, with: "TIME", options: .regularExpression)
                .replacingOccurrences(of: #"; the journal is [^;\n]* smaller"#, with: "", options: .regularExpression)
        }

        @Test("a server that root starts on somebody's store is that somebody, and so are root's commands", SystemTests.needsRoot)
        func ownership() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                try await upstream.push(image, as: "library/one", tag: "v1")
                let settings = try lab.settings(upstream: upstream.url)
                try FileManager.default.createDirectory(
                    at: settings.store, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                let nobody = 65_534
                try FileManager.default.setAttributes([.ownerAccountID: nobody], ofItemAtPath: settings.store.path)
                // Its folder has to be reachable for somebody else.
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: lab.folder.path)
                let amargo = try await lab.amargo(settings)
                let pid = try #require(await amargo.daemon.pid)
                let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
                #expect(status.contains("Uid:\t\(nobody)\t\(nobody)\t\(nobody)\t\(nobody)"))
                try await Self.pull(image, "library/one", "v1", amargo)
                #expect(try await Self.amargo(["pin", "one:v1"], amargo).succeeded)
                #expect(await amargo.terminate() == .code(0))
                #expect(try await Self.amargo(["gc"], amargo).succeeded)
                let files = FileManager.default.enumerator(atPath: settings.store.path)
                while let file = files?.nextObject() as? String {
                    let path = settings.store.appendingPathComponent(file).path
                    let owner = try FileManager.default.attributesOfItem(atPath: path)[.ownerAccountID] as? Int
                    #expect(owner == nobody, "\(file)")
                }
            }
        }

        @Test("root's commands reach a store below a folder that is closed to its owner", SystemTests.needsRoot)
        func closedFolder() async throws {
            try await Lab.run { lab in
                let files = FileManager.default
                var settings = try lab.settings(upstream: "http://127.0.0.1:9")
                try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: lab.folder.path)
                let closed = lab.folder.appendingPathComponent("private")
                // As systemd's DynamicUser: /var/lib/NAME is a link to a folder below one that is root's alone.
                let target = closed.appendingPathComponent("amargo")
                settings.store = lab.folder.appendingPathComponent("state")
                try files.createDirectory(at: target, withIntermediateDirectories: true)
                try files.createSymbolicLink(at: settings.store, withDestinationURL: target)
                try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: closed.path)
                try files.setAttributes([.ownerAccountID: 65_534, .posixPermissions: 0o700], ofItemAtPath: target.path)
                let amargo = try await lab.amargo(settings)
                for arguments in [["ls"], ["gc"], ["verify", "--repair"]] {
                    let result = try await Self.amargo(arguments, amargo)
                    #expect(result.succeeded, "\(arguments): \(result.text) \(result.errorText)")
                }
                #expect(await amargo.terminate() == .code(0))
                for arguments in [["ls"], ["gc"], ["verify"], ["verify", "--repair"]] {
                    let result = try await Self.amargo(arguments, amargo)
                    #expect(result.succeeded, "\(arguments): \(result.text) \(result.errorText)")
                }
                #expect(try files.contentsOfDirectory(atPath: target.path).contains("journal.jsonl"))
            }
        }

        @Test("on a file system without hard links everything works but the layouts' blobs")
        func noLinks() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                for name in ["library/one", "library/two"] { try await upstream.push(image, as: name, tag: "v1") }
                var settings = try lab.settings(upstream: upstream.url)
                let library = lab.folder.appendingPathComponent("nolinks.so")
                let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                    .appendingPathComponent("Programs/nolinks.c")
                try await Command(
                    try Program(name: "cc", package: "gcc").url(), ["-fPIC", "-shared", "-o", library.path, source.path]
                ).run()
                settings.preloaded = library
                let amargo = try await lab.amargo(settings)
                for name in ["library/one", "library/two"] { try await Self.pull(image, name, "v1", amargo) }
                let layout = settings.store.appendingPathComponent("repositories/docker.io/library/one/_oci")
                try await eventually("the layout's index") {
                    FileManager.default.fileExists(atPath: layout.appendingPathComponent("index.json").path)
                }
                let links = layout.appendingPathComponent("blobs/sha256").path
                #expect(try FileManager.default.contentsOfDirectory(atPath: links).isEmpty)
                for isServing in [true, false] {
                    if !isServing { #expect(await amargo.terminate() == .code(0)) }
                    let verified = try await Self.amargo(["verify"], amargo)
                    #expect(verified.exit == .code(0), "\(verified.text) \(verified.errorText)")
                    #expect(verified.text.contains("as on a file system without hard links"), "\(verified.text)")
                }
                #expect(try await Self.amargo(["rm", "one:v1"], amargo).succeeded)
                try await amargo.start()
                await upstream.stop()
                for blob in image.blobs {
                    let answer = try await Curl.get("\(amargo.url)/v2/library/two/blobs/\(blob.digest)")
                    #expect(answer.status == 200)
                    #expect(answer.headers["x-amargo-cache"] == "HIT")
                }
                #expect(try await Curl.get("\(amargo.url)/v2/library/one/manifests/v1").status != 200)
                #expect(await amargo.terminate() == .code(0))
                // Where links can be made after all, as after a move to another disk, they are.
                let repaired = try await Self.amargo(["verify", "--repair"], amargo)
                #expect(repaired.exit == .code(1), "\(repaired.text) \(repaired.errorText)")
                #expect(try await Self.amargo(["verify"], amargo).text.hasSuffix(": nothing found"))
            }
        }

        @Test("a holder that is stopped is named, and a killed one is no hindrance")
        func holders() async throws {
            try await Lab.run { lab in
                let amargo = try await lab.amargo(upstream: "http://127.0.0.1:9")
                let pid = try #require(await amargo.daemon.pid)
                Foundation.kill(pid_t(pid), SIGSTOP)
                let refused = try await Self.amargo(["gc"], amargo)
                Foundation.kill(pid_t(pid), SIGCONT)
                #expect(refused.exit == .code(1))
                #expect(refused.errorText.contains("pid \(pid)"), "\(refused.errorText)")
                await amargo.kill()
                #expect(FileManager.default.fileExists(atPath: amargo.settings.store.appendingPathComponent("amargo.sock").path))
                #expect(try await Self.amargo(["gc"], amargo).succeeded)
                try await amargo.start()
                #expect(try await Self.amargo(["gc"], amargo).succeeded)
            }
        }

        @Test("OCI tools read a repository's folder with no server running, also after a copy that keeps links")
        func layouts() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                let names = ["a/blobs/sha256", "a/index.json", "a/oci-layout"]
                for name in names { try await upstream.push(image, as: name, tag: "v1") }
                var settings = try lab.settings(upstream: upstream.url)
                let amargo = try await lab.amargo(settings)
                for name in names { try await Self.pull(image, name, "v1", amargo) }
                #expect(await amargo.terminate() == .code(0))
                for copy in [[], ["cp", "-a"], ["rsync", "-aH"]] {
                    if let program = copy.first {
                        let target = lab.folder.appendingPathComponent("store-\(program)")
                        let source = settings.store.path + (program == "rsync" ? "/" : "")
                        try await Command(
                            try Program(name: program, package: program).url(), [copy[1], source, target.path]
                        ).run()
                        settings.store = target
                    }
                    for name in names {
                        let layout = settings.store.appendingPathComponent("repositories/docker.io/\(name)/_oci")
                        let target = try lab.newFolder("read").path
                        try await Command(.skopeo, ["--insecure-policy", "copy", "oci:\(layout.path):v1", "dir:\(target)/dir"])
                            .run()
                        try await Command(.umoci, ["unpack", "--image", "\(layout.path):v1", "\(target)/bundle"]).run()
                        for blob in image.blobs {
                            let hex = String(blob.digest.dropFirst("sha256:".count))
                            let link = try Self.inode(layout.appendingPathComponent("blobs/sha256/\(hex)"))
                            let stored = settings.store.appendingPathComponent("blobs/sha256/\(hex.prefix(2))/\(hex)")
                            #expect(try Self.inode(stored) == link)
                        }
                    }
                    // Every copy is a store.
                    var moved = settings
                    moved.port = try LoopbackPort.free()
                    moved.upstream = "http://127.0.0.1:9"
                    let there = try await lab.amargo(moved)
                    try await Self.pull(image, "a/index.json", "v1", there)
                    #expect(await there.terminate() == .code(0))
                }
            }
        }

        private static func inode(_ file: URL) throws -> Int {
            try #require(try FileManager.default.attributesOfItem(atPath: file.path)[.systemFileNumber] as? Int)
        }

        @Test("a store on a read-only disk is served, and what it lacks is passed on", SystemTests.needsRoot)
        func readOnly() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                for name in ["library/one", "library/two"] { try await upstream.push(image, as: name, tag: "v1") }
                var settings = try lab.settings(upstream: upstream.url)
                let writer = try await lab.amargo(settings)
                try await Self.pull(image, "library/one", "v1", writer)
                #expect(await writer.terminate() == .code(0))
                let mount = try lab.newFolder("readonly")
                try await Command(.mount, ["--bind", settings.store.path, mount.path]).run()
                do {
                    try await Command(.mount, ["-o", "remount,ro,bind", mount.path]).run()
                    let before = try await StoreFiles.snapshot(of: settings.store)
                    settings.store = mount
                    let reader = try await lab.amargo(settings)
                    try await Self.pull(image, "library/one", "v1", reader)
                    try await Self.pull(image, "library/two", "v1", reader)
                    let health = try await Curl.get("\(reader.url)/health")
                    #expect(String(decoding: health.body, as: UTF8.self).contains("read-only"))
                    let refused = try await Self.amargo(["pin", "one:v1"], reader)
                    #expect(refused.exit == .code(1))
                    #expect(refused.errorText.contains("read-only"), "\(refused.errorText)")
                    #expect(try await Self.amargo(["ls"], reader).text.contains("docker.io/library/one:v1"))
                    #expect(await reader.terminate() == .code(0))
                    #expect(try await StoreFiles.snapshot(of: mount) == before)
                } catch {
                    try await Command(.unmount, [mount.path]).run()
                    throw error
                }
                try await Command(.unmount, [mount.path]).run()
            }
        }
    }
}
