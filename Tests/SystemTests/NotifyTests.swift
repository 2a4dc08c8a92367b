import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What a service manager hears of the real program, over a socket of ours in systemd's place.
    @Suite("Notify")
    struct NotifyTests {
        private static let nowhere = "http://127.0.0.1:9"

        /// The value of a variable in a message.
        private static func value(_ name: String, _ message: String) -> String? {
            message.split(separator: "\n").first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.utf8.count + 1)) }
        }

        @Test(
            "start, reload, trouble and end are said in their order, and the watchdog hears it all along",
            arguments: [false, true])
        func life(isAbstract: Bool) async throws {
            try await Lab.run { lab in
                let name =
                    isAbstract ? "@amargo-\(lab.folder.lastPathComponent)" : lab.folder.appendingPathComponent("notify").path
                let sink = try NotifySink(at: name)
                var settings = try lab.settings(upstream: Self.nowhere)
                // Every 0.2 seconds.
                settings.environment = ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"]
                let amargo = try await lab.amargo(settings)
                try await sink.wait(for: "READY=1")
                try await sink.wait(for: "WATCHDOG=1", count: 3)
                let serving = "STATUS=Serving on http://127.0.0.1:\(settings.port): 0 blobs, 0 bytes"
                #expect(sink.messages.first { $0.hasPrefix("READY=1") } == "READY=1\n\(serving)")

                let pid = try #require(await amargo.daemon.pid)
                kill(pid, SIGHUP)
                try await sink.wait(for: "READY=1", count: 2)
                try Data("server: {listen: nonsense}".utf8).write(to: amargo.configuration)
                kill(pid, SIGHUP)
                try await sink.wait(for: "READY=1", count: 3)
                try await sink.wait(for: "WATCHDOG=1", count: sink.count(of: "WATCHDOG=1") + 2)
                #expect(await amargo.terminate() == .code(0))

                let said = sink.messages.filter { $0 != "WATCHDOG=1" && !$0.hasPrefix("EXTEND_TIMEOUT_USEC=") }
                let kinds = said.map { String($0.prefix { $0 != "\n" }) }
                #expect(
                    kinds == [
                        "STATUS=Opening the store \(settings.store.path)", "READY=1", "RELOADING=1", "READY=1", "RELOADING=1",
                        "READY=1", "STOPPING=1",
                    ])
                guard kinds.count == 7 else { return }
                let times = [2, 4].compactMap { Self.value("MONOTONIC_USEC", said[$0]).flatMap { Int64($0) } }
                try #require(times.count == 2)
                #expect(times[0] > 0 && times[1] > times[0])
                #expect(said[3] == "READY=1\n\(serving)")
                let status = try #require(Self.value("STATUS", said[5]))
                #expect(status.hasPrefix("The configuration was not reloaded: \(amargo.configuration.path), line 1: "))
                #expect(status.hasSuffix("; serving on http://127.0.0.1:\(settings.port): 0 blobs, 0 bytes"))
                // Nothing is asked for that is not extended, and nothing pinged that is not answered: no message is empty.
                #expect(sink.messages.allSatisfy { !$0.isEmpty })
            }
        }

        @Test("a server that waits for the store says for whom, has its start extended, and is ready when it serves")
        func waiting() async throws {
            try await Lab.run { lab in
                let first = try await lab.amargo(upstream: Self.nowhere)
                #expect(await first.terminate() == .code(0))
                // A command that holds the store and cannot give way: it is stopped.
                let pipe = lab.folder.appendingPathComponent("pipe").path
                try #require(mkfifo(pipe, 0o600) == 0)
                let writer = open(pipe, O_RDWR | O_CLOEXEC)
                defer { close(writer) }
                let holder = Daemon(
                    "import", try AmargoProcess.binary(),
                    ["import", pipe, "--config", first.configuration.path, "--store", first.settings.store.path],
                    log: lab.folder.appendingPathComponent("import.log"))
                let lock = first.settings.store.appendingPathComponent("store.lock")
                let socket = first.settings.store.appendingPathComponent("amargo.sock").path
                try await lab.start(holder) {
                    try String(contentsOf: lock, encoding: .utf8).contains("import")
                        && FileManager.default.fileExists(atPath: socket)
                }
                let pid = try #require(await holder.pid)
                kill(pid, SIGSTOP)

                let sink = try NotifySink(at: lab.folder.appendingPathComponent("notify").path)
                var settings = first.settings
                settings.environment = ["NOTIFY_SOCKET": sink.address]
                let amargo = try AmargoProcess(settings, in: lab.newFolder("second"))
                async let isReady: Void = lab.start(amargo.daemon) { sink.count(of: "READY=1") > 0 }
                try await sink.wait(for: "EXTEND_TIMEOUT_USEC=30000000")
                #expect(sink.count(of: "READY=1") == 0)
                kill(pid, SIGCONT)
                try await isReady
                #expect(try await Curl.get("\(amargo.url)/health").status == 200)
                let said = sink.messages
                let waits = try #require(
                    said.firstIndex { $0.hasPrefix("STATUS=Waiting for amargo import (pid \(pid)") }, "\(said)")
                #expect(said[waits].hasSuffix("to give the store \(settings.store.path) back"))
                #expect(waits < (said.firstIndex { $0.hasPrefix("READY=1") } ?? 0))
            }
        }

        @Test("a watchdog that is somebody else's is not pinged, and credential helpers inherit none of it")
        func inheritance() async throws {
            try await Lab.run { lab in
                let upstream = try ScriptedUpstream(tokenService: true)
                let image = upstream.addImage(repository: "library/nginx")
                let sink = try NotifySink(at: lab.folder.appendingPathComponent("notify").path)
                let helpers = try lab.newFolder("bin")
                let seen = helpers.appendingPathComponent("seen").path
                let helper = helpers.appendingPathComponent("docker-credential-test")
                let script = """
                    #!/bin/sh
                    env > \(seen).new && mv \(seen).new \(seen)
                    echo '{"Username":"user","Secret":"canary-password"}'

                    """
                try Data(script.utf8).write(to: helper)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: helper.path)
                let login = helpers.appendingPathComponent("config.json")
                try Data(#"{"credsStore":"test"}"#.utf8).write(to: login)
                var settings = try lab.settings(upstream: upstream.url)
                settings.upstreamLines = ["credentials: { dockerConfig: \(login.path) }"]
                settings.environment = [
                    "NOTIFY_SOCKET": sink.address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1",
                    "PATH": "\(helpers.path):\(Program.environment["PATH"] ?? "")",
                ]
                let amargo = try await lab.amargo(settings)
                #expect(try await Curl.get("\(amargo.url)\(image.manifestPath)").status == 200)
                let environment = try String(contentsOfFile: seen, encoding: .utf8)
                #expect(environment.contains("PATH="))
                #expect(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"))
                #expect(await amargo.terminate() == .code(0))
                // It could have pinged a thousand times since it was ready.
                #expect(sink.count(of: "STOPPING=1") == 1)
                #expect(sink.count(of: "WATCHDOG=1") == 0)
            }
        }
    }
}
