import Foundation
import Testing

extension SystemTests {
    /// How `amargo serve` starts, refuses to start, and ends.
    @Suite("Serve")
    struct ServeTests {
        @Test("SIGTERM ends it with exit code 0")
        func terminates() async throws {
            try await Lab.run { lab in
                let amargo = try await lab.amargo(upstream: Self.nowhere)
                #expect(await amargo.terminate() == .code(0))
            }
        }

        @Test("a port in use is refused in one sentence that names the address")
        func busyPort() async throws {
            try await Lab.run { lab in
                let other = try await lab.registry()
                var settings = try lab.settings(upstream: Self.nowhere)
                settings.port = other.port
                let refusal = try await Self.refusal(of: settings, in: lab)
                #expect(refusal.contains("127.0.0.1:\(other.port)"))
                #expect(!FileManager.default.fileExists(atPath: settings.store.path))
            }
        }

        @Test("a store that cannot be written is refused in one sentence that names the path")
        func unwritableStore() async throws {
            try await Lab.run { lab in
                // Root may write anywhere, except below a regular file.
                let file = lab.folder.appendingPathComponent("file")
                try Data("not a folder".utf8).write(to: file)
                var settings = try lab.settings(upstream: Self.nowhere)
                settings.store = file.appendingPathComponent("store")
                let refusal = try await Self.refusal(of: settings, in: lab)
                #expect(refusal.contains(settings.store.path))
                #expect(try String(contentsOf: file, encoding: .utf8) == "not a folder")
            }
        }

        @Test("a store held by another process is refused in one sentence that names the process")
        func heldStore() async throws {
            try await Lab.run { lab in
                let holder = try await lab.amargo(upstream: Self.nowhere)
                let pid = try #require(await holder.daemon.pid)
                var settings = holder.settings
                settings.port = try LoopbackPort.free()
                let before = try await StoreFiles.snapshot(of: settings.store)
                let refusal = try await Self.refusal(of: settings, in: lab)
                #expect(refusal.contains("\(pid)"))
                #expect(try await StoreFiles.snapshot(of: settings.store) == before)
                #expect(try await Curl.get("\(holder.url)/health").status == 200)
            }
        }

        /// Nobody listens there, and at start nobody is asked.
        private static let nowhere = "http://127.0.0.1:9"

        private static func refusal(of settings: AmargoProcess.Settings, in lab: Lab) async throws -> String {
            let result = try await AmargoProcess.outcome(settings, in: try lab.newFolder("refused"))
            guard case .code(let code) = result.exit else {
                throw ConditionFailure(description: "ended with \(result.exit): \(result.errorText)")
            }
            #expect(code != 0)
            #expect(result.errorText.split(separator: "\n").count == 1, "\(result.errorText)")
            return result.errorText
        }
    }
}
