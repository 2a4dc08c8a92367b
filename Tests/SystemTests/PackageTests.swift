import Foundation
import Testing

extension SystemTests {
    /// The Debian package of the binary under test, in a fresh tree of this machine's Debian.
    @Suite("Package")
    struct PackageTests {
        private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()

        @Test("it installs, serves, upgrades and purges cleanly, has nothing that lintian minds, and completes in real shells")
        func package() async throws {
            let work = try TemporaryDirectory()
            defer { work.remove() }
            var command = Command(
                Self.root.appendingPathComponent("Tests/Packaging/test-package"),
                [try AmargoProcess.binary().path, work.url.path])
            // The compiler, which links the binary anew, is where whoever runs the tests has it.
            command.environment["PATH"] = ProcessInfo.processInfo.environment["PATH"]
            // Most of it is Debian's mirror and its package manager.
            command.limit = .seconds(600)
            let result = try await command.outcome()
            if result.exit == .code(77) { return print("package: \(result.errorText)") }
            #expect(result.exit == .code(0), "\(result.text.suffix(4_000))\n\(result.errorText.suffix(4_000))")
            #expect(result.text.contains("completed in bash"))
            #expect(result.text.contains("everything is as it should be"))
        }

        @Test("what is no version of a package, and an option that is none, are refused before anything is built")
        func refusals() async throws {
            let script = Self.root.appendingPathComponent("scripts/package-deb")
            let binary = try AmargoProcess.binary().path
            let version = try await Command(script, ["--binary", binary, "--version", "next one"]).outcome()
            #expect(version.exit == .code(1))
            #expect(version.errorText.contains("\"next one\" is no version of a Debian package, such as 1.2.3-1"))
            let option = try await Command(script, ["--colour", "red"]).outcome()
            #expect(option.exit == .code(1))
            #expect(option.errorText.contains("there is no option --colour"))
            let file = try await Command(script, ["--binary", "/nowhere/amargo"]).outcome()
            #expect(file.errorText.contains("/nowhere/amargo is no program"))
        }
    }
}
