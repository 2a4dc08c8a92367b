import Foundation
import Testing

extension SystemTests {
    /// `import.watch`: bundles that somebody puts into a folder.
    @Suite("Watch folder")
    struct ImportWatchTests {
        @Test("a bundle that is put there is imported and moved to done/; a bad one to failed/, with the reason beside it")
        func watch() async throws {
            try await Lab.run { lab in
                let files = FileManager.default
                let folder = try lab.newFolder("watch")
                let image = try await lab.images.image(printing: "watched", as: .oci)
                let layout = try ImportTests.layout(image, "docker.io/library/one:1", in: try lab.newFolder("layout"))
                let tar = "\(lab.folder.path)/bundle.tar"
                try await Command(.tar, ["-C", layout.path, "-cf", tar, "."]).run()
                var settings = try lab.settings(upstream: "http://127.0.0.1:9")
                settings.isOffline = true
                settings.extraLines = ["import:", "  watch: \(folder.path)"]
                let server = try await lab.amargo(settings)
                func appears(_ name: String) async throws {
                    try await eventually("\(name) is there", within: .seconds(30)) {
                        files.fileExists(atPath: folder.appendingPathComponent(name).path)
                    }
                }
                try await Command(
                    try Program(name: "cp", package: "coreutils").url(), [tar, folder.appendingPathComponent("a.tar").path]
                ).run()
                try await appears("done/a.tar")
                #expect(try await Curl.get("\(server.url)/v2/library/one/manifests/1").status == 200)
                #expect(!files.fileExists(atPath: folder.appendingPathComponent("a.tar").path))

                try Data("this is no bundle".utf8).write(to: lab.folder.appendingPathComponent("bad.tar"))
                try files.moveItem(
                    at: lab.folder.appendingPathComponent("bad.tar"), to: folder.appendingPathComponent("bad.tar"))
                try await appears("failed/bad.tar.reason")
                #expect(files.fileExists(atPath: folder.appendingPathComponent("failed/bad.tar").path))
                let reason = try String(contentsOf: folder.appendingPathComponent("failed/bad.tar.reason"), encoding: .utf8)
                #expect(reason.contains("bad.tar: it is"), "\(reason)")

                // Parts wait for each other.
                try await Command(
                    .shell,
                    [
                        "-c",
                        "cd \"$1\" && split -n 2 -d -a 3 --numeric-suffixes=1 bundle.tar s.tar. && sha256sum s.tar.0* > s.tar.sha256",
                        "sh", lab.folder.path,
                    ]
                ).run()
                for name in ["s.tar.sha256", "s.tar.001", "s.tar.002"] {
                    try files.moveItem(at: lab.folder.appendingPathComponent(name), to: folder.appendingPathComponent(name))
                }
                try await appears("done/s.tar.sha256")
                try await appears("done/s.tar.002")
                #expect(try files.contentsOfDirectory(atPath: folder.path).sorted() == ["done", "failed"])
            }
        }
    }
}
