import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// `amargo doctor`, the real program, on a host that is well and on some that are not.
    @Suite("Doctor")
    struct DoctorTests {
        /// The registries that are configured without being asked for, and that nobody could reach from here.
        private static let withoutBuiltIns = ["ghcr", "quay", "kubernetes", "gcr", "mcr", "ecr-public"].map { "  \($0): false" }

        private struct Finding: Decodable {
            let id: String
            let subject: String?
            let verdict: String
            let finding: String
            let advice: [String]
        }

        private struct Report {
            let exit: ChildProcess.Exit
            let findings: [Finding]
            let text: String

            func verdicts(_ id: String) -> [String] { self.findings.filter { $0.id == id }.map(\.verdict) }
        }

        /// A configuration for one registry, and a folder that stands for the host with Docker and its file.
        private struct Patient {
            let folder: URL
            let settings: AmargoProcess.Settings
            let configuration: URL
            let root: URL

            init(in lab: Lab, upstream: String, lines: [String] = []) throws {
                self.folder = try lab.newFolder("patient")
                var settings = try lab.settings(upstream: upstream)
                settings.upstreamLines = lines + ["#"]
                settings.store = self.folder.appendingPathComponent("store")
                self.settings = settings
                self.configuration = self.folder.appendingPathComponent("amargo.yaml")
                self.root = self.folder.appendingPathComponent("root")
                try self.write("root/usr/bin/dockerd", "#!/bin/sh\n", mode: 0o755)
                try self.write("root/etc/docker/daemon.json", "{\"registry-mirrors\": [\"http://127.0.0.1:\(settings.port)\"]}")
                try self.write("amargo.yaml", self.text, mode: 0o600)
            }

            var text: String {
                self.settings.configuration.replacingOccurrences(
                    of: "repositories:\n", with: "repositories:\n\(DoctorTests.withoutBuiltIns.joined(separator: "\n"))\n")
            }

            func write(_ name: String, _ text: String, mode: Int = 0o644) throws {
                let file = self.folder.appendingPathComponent(name)
                try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: file)
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
            }

            /// Serves, with its own configuration.
            func serve(in lab: Lab) async throws -> Daemon {
                let daemon = Daemon(
                    "amargo", try AmargoProcess.binary(), ["serve", "--config", self.configuration.path],
                    log: self.folder.appendingPathComponent("amargo.log"))
                let url = "http://127.0.0.1:\(self.settings.port)/health"
                try await lab.start(daemon) { try await Curl.answers(url) }
                return daemon
            }

            func examine(_ arguments: [String] = [], environment: [String: String] = [:]) async throws -> Report {
                var command = Command(
                    try AmargoProcess.binary(),
                    ["doctor", "--config", self.configuration.path, "--root", self.root.path, "--format", "json"] + arguments)
                command.environment = environment
                let result = try await command.outcome()
                let lines = result.text.split(separator: "\n")
                let findings = try lines.map { try JSONDecoder().decode(Finding.self, from: Data($0.utf8)) }
                #expect(result.errorText.isEmpty, "\(result.errorText)")
                #expect(!findings.isEmpty)
                return Report(exit: result.exit, findings: findings, text: result.text)
            }
        }

        @Test("all is well: a server that runs, a registry that answers, an engine that comes here")
        func well() async throws {
            try await Lab.run { lab in
                let upstream = try ScriptedUpstream(tokenService: true)
                let patient = try Patient(in: lab, upstream: upstream.url)
                let daemon = try await patient.serve(in: lab)
                let report = try await patient.examine()
                // How full this machine is, and what else it is, is not this test's.
                let measured = ["space", "process", "clock"]
                let own = report.findings.filter { finding in !measured.contains { finding.id.hasPrefix("\($0).") } }
                #expect(own.allSatisfy { $0.verdict != "problem" }, "\(report.text)")
                for id in [
                    "configuration.file", "server.listen", "server.health", "store.folder", "store.holder", "store.journal",
                ] {
                    #expect(report.verdicts(id) == ["ok"], "\(id): \(report.text)")
                }
                #expect(report.verdicts("upstreams.registry") == ["ok"])
                #expect(report.findings.contains { $0.subject == "docker" && $0.id == "engines.engine" && $0.verdict == "ok" })
                #expect(upstream.requests.allSatisfy { ["/v2/", "/token"].contains($0.path) }, "nothing is pulled")
                #expect(await daemon.terminate() == .code(0))
            }
        }

        @Test("it changes nothing, and makes no store")
        func readsOnly() async throws {
            try await Lab.run { lab in
                let patient = try Patient(in: lab, upstream: "http://127.0.0.1:9")
                let report = try await patient.examine(["--offline"])
                #expect(report.verdicts("store.folder") == ["note"])
                #expect(report.verdicts("server.listen") == ["note"])
                #expect(!FileManager.default.fileExists(atPath: patient.settings.store.path))
            }
        }

        @Test("a registry that is down, credentials that are refused, and a clock that is off")
        func upstreams() async throws {
            try await Lab.run { lab in
                let upstream = try ScriptedUpstream(tokenService: true)
                let secret = "credentials: { username: me, password: canary-password }"
                let patient = try Patient(in: lab, upstream: upstream.url, lines: [secret])
                #expect(try await patient.examine().text.contains("accepts the credentials of me"))
                upstream.scriptForever(.token, .status(401))
                let refused = try await patient.examine()
                #expect(refused.exit == .code(2))
                #expect(refused.text.contains("refuses the credentials of me"))
                #expect(!refused.text.contains("canary"))
                upstream.scriptForever(
                    RequestMatcher.path("/v2/").evenUnauthorized, .header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"))
                let late = try await patient.examine()
                #expect(late.exit == .code(2))
                #expect(late.verdicts("clock.registries") == ["problem"])
                upstream.stop()
                let start = ContinuousClock.now
                let gone = try await patient.examine()
                #expect(start.duration(to: .now) < .seconds(20))
                #expect(gone.exit == .code(2))
                #expect(gone.text.contains("connection refused (name: ok)"))
            }
        }

        @Test("a store that is held by a stopped process")
        func stopped() async throws {
            try await Lab.run { lab in
                let patient = try Patient(in: lab, upstream: "http://127.0.0.1:9")
                let daemon = try await patient.serve(in: lab)
                let pid = try #require(await daemon.pid)
                kill(pid, SIGSTOP)
                let report = try await patient.examine(["--offline", "--timeout", "1"])
                kill(pid, SIGCONT)
                #expect(report.exit == .code(2))
                #expect(report.verdicts("store.holder") == ["problem"])
                #expect(report.text.contains("is stopped"))
                #expect(report.text.contains("kill -CONT \(pid)"))
                #expect(report.verdicts("server.health") == ["problem"])
                #expect(await daemon.terminate() == .code(0))
            }
        }

        @Test("a configuration that is no YAML, and an engine that goes past")
        func configurations() async throws {
            try await Lab.run { lab in
                let patient = try Patient(in: lab, upstream: "http://127.0.0.1:9")
                try patient.write("root/etc/docker/daemon.json", "{\"debug\": true}")
                let past = try await patient.examine(["--offline"])
                #expect(past.verdicts("engines.engine") == ["warning"])
                try patient.write("root/etc/docker/daemon.json", "{")
                #expect(try await patient.examine(["--offline"]).exit == .code(2))
                try patient.write("amargo.yaml", "store:\n  path: [\n", mode: 0o600)
                let broken = try await patient.examine()
                #expect(broken.exit == .code(2))
                #expect(broken.verdicts("configuration.file") == ["problem"])
                #expect(broken.text.contains("amargo.yaml, line "))
            }
        }

        @Test("certificates: of nobody that is known, ended, and of another host")
        func certificates() async throws {
            try await Lab.run { lab in
                let upstream = try await Self.serveTLS("subjectAltName=IP:127.0.0.1", in: lab)
                let unknown = try await Patient(in: lab, upstream: upstream.url).examine(["--timeout", "3"])
                #expect(unknown.exit == .code(2))
                #expect(unknown.text.contains("Its authority is not known here"), "\(unknown.text)")
                let known = try await Patient(in: lab, upstream: upstream.url, lines: ["ca: \(upstream.certificate)"]).examine()
                #expect(known.text.contains("(name, connection, TLS: ok)"), "\(known.text)")
                #expect(known.verdicts("configuration.certificates") == ["warning"], "it ends in two days")
                let other = try await Self.serveTLS("subjectAltName=DNS:other.example", in: lab)
                let foreign = try await Patient(in: lab, upstream: other.url, lines: ["ca: \(other.certificate)"])
                    .examine(["--timeout", "3"])
                #expect(foreign.text.contains("Its certificate is for other.example, not for 127.0.0.1"), "\(foreign.text)")
            }
        }

        @Test("a company's registry: htpasswd, an authority of its own, a client certificate, and a proxy in front")
        func company() async throws {
            try await Lab.run { lab in
                let registry = try await PrivateRegistry(showing: try await lab.registry(), in: lab)
                func lines(password: String = PrivateRegistry.password, proxy: String = PrivateRegistry.proxyPassword) -> [String]
                {
                    [
                        "credentials: { username: user, password: \(password) }", "ca: \(registry.file("ca.pem"))",
                        "certificate: \(registry.file("client.pem"))", "key: \(registry.file("client.key"))",
                        "proxy: http://proxyuser:\(proxy)@127.0.0.1:\(registry.proxyPort)",
                    ]
                }
                let well = try await Patient(in: lab, upstream: registry.url, lines: lines()).examine()
                #expect(well.verdicts("upstreams.registry") == ["ok"], "\(well.text)")
                #expect(
                    well.text.contains(
                        "by way of the proxy http://127.0.0.1:\(registry.proxyPort), accepts the credentials of user"))
                let wrong = try await Patient(in: lab, upstream: registry.url, lines: lines(password: "canary-wrong")).examine()
                #expect(wrong.verdicts("upstreams.registry") == ["problem"])
                #expect(wrong.text.contains("refuses the credentials of user"))
                let closed = try await Patient(in: lab, upstream: registry.url, lines: lines(proxy: "canary-wrong")).examine()
                #expect(closed.verdicts("upstreams.registry") == ["problem"])
                #expect(closed.text.contains("proxy"))
                let unknown = try await Patient(in: lab, upstream: registry.url, lines: [lines()[0], lines()[1]]).examine()
                #expect(unknown.verdicts("upstreams.registry") == ["problem"], "without its client certificate: \(unknown.text)")
                for report in [well, wrong, closed, unknown] { #expect(!report.text.contains("canary")) }
            }
        }

        private static func serveTLS(_ name: String, in lab: Lab) async throws -> (url: String, certificate: String) {
            let folder = try lab.newFolder("tls")
            let certificate = folder.appendingPathComponent("server.pem").path
            let key = folder.appendingPathComponent("server.key").path
            try await Command(
                .openssl,
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=x",
                    "-addext", name, "-keyout", key, "-out", certificate,
                ]
            ).run()
            let port = try LoopbackPort.free()
            let daemon = Daemon(
                "tls", try Program.openssl.url(),
                ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-www", "-quiet"],
                log: folder.appendingPathComponent("tls.log"))
            try await lab.start(daemon) {
                try await Command(
                    .curl, ["--silent", "--insecure", "--max-time", "5", "--output", "/dev/null", "https://127.0.0.1:\(port)/"]
                ).outcome().succeeded
            }
            return ("https://127.0.0.1:\(port)", certificate)
        }

        @Test("for people: groups, advice, a summary, and no colour in a pipe")
        func table() async throws {
            try await Lab.run { lab in
                let patient = try Patient(in: lab, upstream: "http://127.0.0.1:9")
                var command = Command(
                    try AmargoProcess.binary(),
                    ["doctor", "--config", patient.configuration.path, "--root", patient.root.path, "--offline"])
                command.environment = ["AMARGO_STOER": "/x"]
                let result = try await command.outcome()
                #expect(result.text.hasPrefix("configuration\n  ok       file"))
                #expect(result.text.contains("→ Did you mean AMARGO_STORE?"))
                #expect(result.text.contains("warning"))
                #expect(!result.text.contains("\u{1B}"))
                #expect(result.errorText.isEmpty)
                let wrong = try await Command(try AmargoProcess.binary(), ["doctor", "--timeout", "0"]).outcome()
                #expect(wrong.exit == .code(64))
            }
        }
    }
}
