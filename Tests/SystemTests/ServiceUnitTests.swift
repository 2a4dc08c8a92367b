import Foundation
import Testing

extension SystemTests {
    /// The files for systemd, as systemd judges them.
    @Suite("Service unit")
    struct ServiceUnitTests {
        private static let folder = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("etc")
        private static let analyze = Program(name: "systemd-analyze", package: "systemd")

        /// The unit, with the program where it was built.
        private static func unit(in lab: Lab) throws -> String {
            let text = try String(contentsOf: Self.folder.appendingPathComponent("amargo.service"), encoding: .utf8)
            #expect(text.contains("ExecStart=/usr/bin/amargo serve\n"))
            let copy = lab.folder.appendingPathComponent("amargo.service")
            let here = text.replacingOccurrences(of: "/usr/bin/amargo", with: try AmargoProcess.binary().path)
            try Data(here.utf8).write(to: copy)
            return copy.path
        }

        @Test("systemd has nothing to say about the unit")
        func verify() async throws {
            try await Lab.run { lab in
                // The man page comes with the package, and is looked at there.
                let result = try await Command(Self.analyze, ["verify", "--man=no", try Self.unit(in: lab)]).outcome()
                #expect(result.succeeded)
                #expect(result.text == "" && result.errorText == "", "\(result.errorText)")
            }
        }

        @Test("the service is exposed no more than its work needs, as systemd counts: 1.2 of 10")
        func security() async throws {
            try await Lab.run { lab in
                let unit = try Self.unit(in: lab)
                let arguments = ["security", "--offline=yes", "--no-pager", "--threshold=12", unit]
                let result = try await Command(Self.analyze, arguments).outcome()
                #expect(result.succeeded, "\(result.text)")
                #expect(result.text.contains("Overall exposure level"))
            }
        }

        @Test("the user and the folders come about in an empty system, for the service alone to write", SystemTests.needsRoot)
        func userAndFolders() async throws {
            try await Lab.run { lab in
                let root = try lab.newFolder("root")
                let etc = root.appendingPathComponent("etc")
                try FileManager.default.createDirectory(at: etc, withIntermediateDirectories: false)
                let sysusers = Program(name: "systemd-sysusers", package: "systemd")
                let tmpfiles = Program(name: "systemd-tmpfiles", package: "systemd")
                try await Command(
                    sysusers, ["--root=\(root.path)", Self.folder.appendingPathComponent("amargo.sysusers").path]
                ).run()
                try await Command(
                    tmpfiles, ["--root=\(root.path)", "--create", Self.folder.appendingPathComponent("amargo.tmpfiles").path]
                ).run()
                let users = try String(contentsOf: etc.appendingPathComponent("passwd"), encoding: .utf8)
                let fields = try #require(users.split(separator: "\n").first { $0.hasPrefix("amargo:") }).split(
                    separator: ":", omittingEmptySubsequences: false)
                #expect(fields.suffix(3) == ["Amargo image cache", "/var/cache/amargo", "/usr/sbin/nologin"])
                let uid = try #require(Int(fields[2]))
                for (path, mode, owner) in [
                    ("var/lib/amargo", 0o750, uid), ("var/cache/amargo", 0o750, uid), ("etc/amargo", 0o755, 0),
                    ("etc/amargo/secrets", 0o2750, 0),
                ] {
                    let facts = try FileManager.default.attributesOfItem(atPath: root.appendingPathComponent(path).path)
                    #expect(facts[.posixPermissions] as? Int == mode, "\(path)")
                    #expect(facts[.ownerAccountID] as? Int == owner, "\(path)")
                }
            }
        }

        @Test("what the server calls of the kernel is what its unit allows", SystemTests.needsRoot)
        func systemCalls() async throws {
            try await Lab.run { lab in
                let allowed = try await Self.allowedCalls()
                let upstream = try await lab.registry()
                let image = try await lab.images.image(printing: "served by amargo", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "v1")
                let trace = lab.folder.appendingPathComponent("calls").path
                let settings = try lab.settings(upstream: upstream.url)
                let amargo = try AmargoProcess(settings, in: lab.newFolder("amargo"))
                let binary = try AmargoProcess.binary().path
                let traced = Daemon(
                    "strace", try Program(name: "strace", package: "strace").url(),
                    [
                        "-D", "-f", "-c", "-o", trace, binary, "serve", "--config", amargo.configuration.path, "--store",
                        settings.store.path,
                    ],
                    log: lab.folder.appendingPathComponent("strace.log"))
                try await lab.start(traced) { (try? await Curl.get("\(amargo.url)/health").status) == 200 }
                #expect(try await Curl.get("\(amargo.url)/v2/library/nginx/manifests/v1").status == 200)
                for _ in 0..<2 {
                    for blob in image.blobs {
                        #expect(try await Curl.get("\(amargo.url)/v2/library/nginx/blobs/\(blob.digest)").status == 200)
                    }
                }
                // With -D the process that was started is the server, and strace one beside it, which writes when it has ended.
                #expect(await traced.terminate() == .code(0))
                try await eventually("strace has written what it saw") {
                    (try? String(contentsOfFile: trace, encoding: .utf8))?.contains(" total") == true
                }
                let lines = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
                let names = lines.filter { $0.first(where: { $0 != " " })?.isNumber == true }
                    .compactMap { $0.split(separator: " ").last.map(String.init) }.filter { $0 != "total" }
                #expect(names.contains("sendfile") && names.contains("fdatasync") && names.contains("openat2"))
                #expect(names.filter { !allowed.contains($0) } == [])
            }
        }

        /// The calls of the groups that the unit names.
        private static func allowedCalls() async throws -> Set<String> {
            let text = try String(contentsOf: Self.folder.appendingPathComponent("amargo.service"), encoding: .utf8)
            let filters = text.split(separator: "\n").filter { $0.hasPrefix("SystemCallFilter=") }.map { $0.dropFirst(17) }
            #expect(filters == ["@system-service", "~@privileged"])
            var calls = try await Self.calls(of: "@system-service")
            calls.subtract(try await Self.calls(of: "@privileged"))
            return calls
        }

        private static func calls(of group: String) async throws -> Set<String> {
            let text = try await Command(Self.analyze, ["syscall-filter", "--no-pager", group]).run().text
            var calls: Set<String> = []
            for line in text.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
                if line.hasPrefix("@"), line != group {
                    calls.formUnion(try await Self.calls(of: line))
                } else if !line.hasPrefix("@"), !line.hasPrefix("#") {
                    calls.insert(line)
                }
            }
            return calls
        }
    }
}
