import Foundation
import Testing

extension SystemTests {
    /// What other tools wrote comes into a store, by the real program, and engines get it from a mirror that asks nobody.
    @Suite("Import")
    struct ImportTests {
        private static let line = "carried by amargo"

        private static func amargo(_ arguments: [String], _ store: URL) async throws -> Command.Result {
            try await Command(try AmargoProcess.binary(), arguments + ["--store", store.path]).outcome()
        }

        /// An image layout as a folder, written here.
        static func layout(_ image: FixtureImage, _ tag: String, in folder: URL) throws -> URL {
            let blobs = folder.appendingPathComponent("blobs/sha256")
            try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
            for descriptor in image.blobs + image.manifests {
                let target = blobs.appendingPathComponent(image.file(descriptor).lastPathComponent)
                if FileManager.default.fileExists(atPath: target.path) { continue }
                try FileManager.default.copyItem(at: image.file(descriptor), to: target)
            }
            let root = image.root
            let index = """
                {"schemaVersion":2,"manifests":[{"mediaType":"\(root.mediaType)","digest":"\(root.digest)","size":\(root.size),\
                "annotations":{"org.opencontainers.image.ref.name":"\(tag)"}}]}
                """
            try Data(index.utf8).write(to: folder.appendingPathComponent("index.json"))
            try Data(#"{"imageLayoutVersion":"1.0.0"}"#.utf8).write(to: folder.appendingPathComponent("oci-layout"))
            return folder
        }

        @discardableResult
        private static func skopeo(_ arguments: [String]) async throws -> Command.Result {
            try await Command(.skopeo, ["--insecure-policy", "copy"] + arguments).run()
        }

        @Test("archives and folders of skopeo, umoci and podman come in, and skopeo pulls them from an offline mirror")
        func otherTools() async throws {
            try await Lab.run { lab in
                let image = try await lab.images.index(printing: Self.line, as: .oci)
                let folder = try Self.layout(image, "v1", in: try lab.newFolder("layout"))
                let work = try lab.newFolder("work").path
                try await Self.skopeo(["--all", "oci:\(folder.path):v1", "oci-archive:\(work)/a.tar:docker.io/library/a:1"])
                try await Self.skopeo(["--all", "oci:\(folder.path):v1", "oci:\(work)/b:docker.io/library/b:1"])
                try await Self.skopeo(["oci:\(folder.path):v1", "docker-archive:\(work)/c.tar:docker.io/library/c:1"])
                // umoci takes no index for an image.
                let single = try await lab.images.image(printing: Self.line, as: .oci)
                let bare = try Self.layout(single, "v1", in: try lab.newFolder("bare"))
                try await Command(.umoci, ["tag", "--image", "\(bare.path):v1", "v2"]).run()
                try await Self.podman(["load", "-i", "\(work)/c.tar"], work)
                try await Self.podman(["save", "--format", "oci-archive", "-o", "\(work)/d.tar", "docker.io/library/c:1"], work)

                var settings = try lab.settings(upstream: "http://127.0.0.1:9")
                settings.isOffline = true
                for (arguments, name) in [
                    (["\(work)/a.tar"], "docker.io/library/a:1"), (["\(work)/b"], "docker.io/library/b:1"),
                    (["\(work)/c.tar"], "docker.io/library/c:1"), (["--as", "d", bare.path], "docker.io/library/d:v1, :v2"),
                    (["--as", "e:1", "\(work)/d.tar"], "docker.io/library/e:1"),
                ] {
                    let result = try await Self.amargo(["import"] + arguments, settings.store)
                    #expect(result.succeeded, "\(result.errorText)")
                    #expect(result.text.contains("Imported \(name)"), "\(result.text)")
                }
                #expect(try await Self.amargo(["verify"], settings.store).succeeded)
                let server = try await lab.amargo(settings)
                let client = try await ImageClient(.skopeo, amargo: server, in: lab)
                for name in ["a:1", "b:1", "c:1", "d:v1", "d:v2", "e:1", "a@\(image.root.digest)"] {
                    let result = try await client.pull("docker.io/library/\(name)")
                    #expect(result.succeeded, "\(name): \(result.errorText)")
                }
                for name in ["a/manifests/1", "b/manifests/1", "d/manifests/v2"] {
                    let answer = try await Curl.get("\(server.url)/v2/library/\(name)")
                    #expect(answer.status == 200)
                }
            }
        }

        private static func podman(_ arguments: [String], _ folder: String) async throws {
            let home = URL(fileURLWithPath: folder).appendingPathComponent(".config/containers")
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            try Data(#"{"default":[{"type":"insecureAcceptAnything"}]}"#.utf8).write(
                to: home.appendingPathComponent("policy.json"))
            var command = try Command(
                .podman, ["--root", "\(folder)/root", "--runroot", "\(folder)/run", "--storage-driver", "vfs"] + arguments)
            command.environment = ["HOME": folder, "XDG_RUNTIME_DIR": folder]
            try await command.run()
        }

        @Test("what dockerd saves is imported beside the server, and dockerd pulls it back", SystemTests.needsRoot)
        func dockerSave() async throws {
            try await Lab.run { lab in
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                let folder = try Self.layout(image, "v1", in: try lab.newFolder("layout"))
                let work = try lab.newFolder("work").path
                try await Self.skopeo(["oci:\(folder.path):v1", "docker-archive:\(work)/in.tar:app:1"])
                var settings = try lab.settings(upstream: "http://127.0.0.1:9")
                settings.isOffline = true
                let server = try await lab.amargo(settings)
                let engine = try await lab.engine(mirror: server)
                try await engine.docker("load", "-i", "\(work)/in.tar")
                try await engine.docker("save", "-o", "\(work)/saved.tar", "app:1")
                let result = try await Self.amargo(["import", "\(work)/saved.tar"], settings.store)
                #expect(result.text.contains("Imported docker.io/library/app:1"), "\(result.text)\n\(result.errorText)")
                try await engine.docker("rmi", "app:1")
                try await engine.docker("pull", "app:1")
            }
        }

        @Test("a server and a command say and do the same, and exit codes tell all, some and none")
        func bothWays() async throws {
            try await Lab.run { lab in
                let one = try await lab.images.image(printing: Self.line, as: .oci)
                let two = try await lab.images.image(printing: "another line", as: .oci)
                let good = try Self.layout(one, "quay.io/x/one:1", in: try lab.newFolder("good"))
                let bad = try Self.layout(two, "quay.io/x/two:1", in: try lab.newFolder("bad"))
                let layer = bad.appendingPathComponent("blobs/sha256").appendingPathComponent(
                    two.file(two.blobs[1]).lastPathComponent)
                try FileManager.default.removeItem(at: layer)
                try await Command(.tar, ["-C", good.path, "-czf", "\(lab.folder.path)/good.tar.gz", "."]).run()
                try await Command(.tar, ["-C", bad.path, "-cf", "\(lab.folder.path)/bad.tar", "."]).run()
                var said: [[String]] = []
                for isServing in [true, false] {
                    let settings = try lab.settings(upstream: "http://127.0.0.1:9")
                    let server = isServing ? try await lab.amargo(settings) : nil
                    var lines: [String] = []
                    for (arguments, code) in [
                        ([good.path, bad.path], 1), ([bad.path], 2), (["\(lab.folder.path)/good.tar.gz"], 0),
                        (["--as", "quay.io/x/other:2", "\(lab.folder.path)/good.tar.gz"], 0), (["\(lab.folder.path)/bad.tar"], 2),
                        (["--dry-run", "--as", "new:1", good.path], 0), (["/nothing/there"], 2), (["/dev/null"], 2), ([], 64),
                        (["--as", "not:a:name", good.path], 64),
                    ] as [([String], Int32)] {
                        let result = try await Self.amargo(["import"] + arguments, settings.store)
                        #expect(result.exit == .code(code), "\(arguments): \(result.errorText)")
                        lines.append("\(result.exit)\n\(result.text)\n\(result.errorText)")
                    }
                    lines.append(try await Self.amargo(["ls"], settings.store).text.filter { !$0.isNumber })
                    said.append(lines)
                    #expect(try await Self.amargo(["verify"], settings.store).succeeded)
                    if let server { #expect(await server.terminate() == .code(0)) }
                    try FileManager.default.removeItem(at: settings.store)
                }
                #expect(said[0] == said[1])
                let all = said[0].joined(separator: "\n")
                #expect(all.contains("Imported quay.io/x/one:1"))
                #expect(
                    all.contains("quay.io/x/two:1 is not imported: neither the bundle nor the store has \(two.blobs[1].digest)"))
                #expect(all.contains("quay.io/x/one:1 is there already"))
            }
        }

        @Test("verify tells a bundle that is worth carrying from one that is not")
        func verifyBundle() async throws {
            try await Lab.run { lab in
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                let folder = try Self.layout(image, "quay.io/x/one:1", in: try lab.newFolder("good"))
                let tar = "\(lab.folder.path)/bundle.tar"
                try await Command(.tar, ["-C", folder.path, "-cf", tar, "."]).run()
                let good = try await Command(try AmargoProcess.binary(), ["verify", folder.path, tar]).outcome()
                #expect(good.exit == .code(0), "\(good.text)\(good.errorText)")
                #expect(good.text.contains("quay.io/x/one:1: complete, \(image.blobs.count + 1) blobs"))
                let file = try FileHandle(forUpdating: URL(fileURLWithPath: tar))
                let middle = try file.seekToEnd() / 2
                try file.seek(toOffset: middle)
                let byte = try #require(try file.read(upToCount: 1)?.first)
                try file.seek(toOffset: middle)
                try file.write(contentsOf: Data([byte ^ 1]))
                try file.close()
                let damaged = try await Command(try AmargoProcess.binary(), ["verify", tar]).outcome()
                #expect(damaged.exit == .code(2))
                #expect(damaged.text.contains("is damaged"), "\(damaged.text)")
                let json = try await Command(try AmargoProcess.binary(), ["verify", "--format", "json", tar]).outcome()
                #expect(json.exit == .code(2))
                #expect(json.text.contains("\"finding\":"))
            }
        }

        /// Writes a bundle with one layer of so many MiB, imports it from a file and through a pipe, and prints the most KiB that took.
        private static let largeImport = """
            import hashlib, io, json, resource, subprocess, sys, tarfile
            binary, folder, mebibytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
            piece = bytes(range(256)) * 4096
            layer = hashlib.sha256()
            for _ in range(mebibytes): layer.update(piece)
            class Pieces(io.RawIOBase):
                def read(self, count=-1):
                    return piece[:count]
            tar = tarfile.open(f"{folder}/large.tar", "w", copybufsize=1 << 20)
            def add(name, data):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            def blob(data):
                digest = hashlib.sha256(data).hexdigest()
                add("blobs/sha256/" + digest, data)
                return {"digest": "sha256:" + digest, "size": len(data)}
            oci = "application/vnd.oci.image."
            config = {"mediaType": oci + "config.v1+json", **blob(b'{"os":"linux","architecture":"amd64"}')}
            layers = [{"mediaType": oci + "layer.v1.tar", "digest": "sha256:" + layer.hexdigest(), "size": mebibytes << 20}]
            manifest = {"mediaType": oci + "manifest.v1+json", **blob(json.dumps(
                {"schemaVersion": 2, "config": config, "layers": layers}).encode())}
            manifest["annotations"] = {"org.opencontainers.image.ref.name": "docker.io/library/large:1"}
            add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
            add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            member = tarfile.TarInfo("blobs/sha256/" + layer.hexdigest())
            member.size = mebibytes << 20
            tar.addfile(member, Pieces())
            tar.close()
            def peak(store, arguments, **options):
                process = subprocess.Popen([binary, "import", "--store", f"{folder}/{store}", *arguments], **options)
                _, status, usage = __import__("os").wait4(process.pid, 0)
                assert status == 0, status
                return usage.ru_maxrss
            one = peak("one", [f"{folder}/large.tar"])
            with open(f"{folder}/large.tar", "rb") as file:
                cat = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
                two = peak("two", ["-"], stdin=cat.stdout)
            print("KiB", max(one, two))
            """

        @Test("a large layer takes no more memory than a small one")
        func memory() async throws {
            try await Lab.run { lab in
                let folder = try lab.newFolder("large")
                let result = try await Command(
                    .python, ["-c", Self.largeImport, try AmargoProcess.binary().path, folder.path, "200"]
                ).run()
                let words = result.text.split(separator: "\n").last?.split(separator: " ") ?? []
                let kibibytes = try #require(words.last.flatMap { Int($0) })
                #expect(kibibytes < 64 << 10, "\(result.text)")
            }
        }

        @Test(
            "root brings what only root may read to a store that is somebody else's", SystemTests.needsRoot,
            arguments: [true, false])
        func asRoot(_ isServing: Bool) async throws {
            try await Lab.run { lab in
                let files = FileManager.default
                let image = try await lab.images.image(printing: Self.line, as: .oci)
                let folder = try Self.layout(image, "quay.io/x/one:1", in: try lab.newFolder("private"))
                let tar = "\(folder.path)/../private.tar"
                try await Command(.tar, ["-C", folder.path, "-cf", tar, "."]).run()
                try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: tar)
                try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: lab.folder.path)
                let settings = try lab.settings(upstream: "http://127.0.0.1:9")
                try files.createDirectory(
                    at: settings.store, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                try files.setAttributes([.ownerAccountID: 65_534], ofItemAtPath: settings.store.path)
                let server = isServing ? try await lab.amargo(settings) : nil
                let result = try await Self.amargo(["import", tar], settings.store)
                #expect(result.exit == .code(0), "\(result.errorText)")
                if let server { #expect(await server.terminate() == .code(0)) }
                let owners = try await Command(.shell, ["-c", "find \"$1\" ! -uid 65534", "sh", settings.store.path]).run().text
                #expect(owners == "")
            }
        }
    }
}
