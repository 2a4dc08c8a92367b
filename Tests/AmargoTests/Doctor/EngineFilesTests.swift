import Foundation
import Glibc
import TestSupport
import Testing

@testable import amargo

/// What engines' files say of this server: made-up hosts with what `client-config` writes, and with what people write.
struct EngineFilesTests {
    private static func settings(_ text: String = "") throws -> Settings { try ConfigurationFileTests.read(text) }

    private static func look(_ made: MadeUpHost, _ text: String = "") throws -> [Diagnosis] {
        let settings = try Self.settings(text)
        let server = MirrorAddress(settings, own: [[127, 0, 0, 1], [192, 168, 1, 5]], hostName: "lab")
        return EnginesCheck(settings: settings, host: made.host, server: server).look()
    }

    /// Writes what `client-config` prints for an engine.
    private static func configure(_ engine: ClientEngine, _ made: MadeUpHost) throws {
        let server = try ClientServer(try Self.settings(), host: nil)
        for file in try engine.configuration(for: server).files { try made.write(file.path, file.text) }
    }

    @Test("a host without engines has one quiet note")
    func none() throws {
        let found = try Self.look(try MadeUpHost())
        #expect(found.map(\.verdict) == [.note])
        #expect(found.text == "not here: docker, docker (rootless), containerd, podman, buildkit, k3s, rke2")
    }

    @Test(
        "what client-config writes is found to be right",
        arguments: [
            (ClientEngine.docker, "docker", "dockerd"), (.podman, "podman", "podman"), (.buildkit, "buildkit", "buildkitd"),
            (.k3s, "k3s", "k3s"),
        ])
    func configured(_ engine: ClientEngine, _ subject: String, _ program: String) throws {
        let made = try MadeUpHost(programs: [program])
        #expect(try Self.look(made).verdicts("engines.engine", of: subject) == [.warning], "not yet")
        try Self.configure(engine, made)
        let found = try Self.look(made)
        #expect(found.verdicts("engines.engine", of: subject).first == .ok, "\(found.text)")
    }

    @Test("containerd: hosts.toml and config_path, in both versions of its file")
    func containerd() throws {
        let made = try MadeUpHost(programs: ["containerd"])
        try Self.configure(.containerd, made)
        #expect(try Self.look(made).verdicts("engines.engine", of: "containerd") == [.warning], "no config_path")
        for table in ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"] {
            let version = table.contains("images") ? 3 : 2
            try made.write(
                "/etc/containerd/config.toml",
                "version = \(version)\n[plugins.\"\(table)\".registry]\nconfig_path = \"/etc/docker/certs.d:/etc/containerd/certs.d\"\n"
            )
            let found = try Self.look(made)
            #expect(found.verdicts("engines.engine", of: "containerd") == [.ok], "\(found.text)")
            #expect(
                found.text.contains(
                    "pulls docker.io, ghcr.io, quay.io, registry.k8s.io, gcr.io, mcr.microsoft.com, public.ecr.aws through here"))
        }
    }

    @Test("containerd: a registry with a port may stand in a folder without a colon")
    func containerdPort() throws {
        let made = try MadeUpHost(
            programs: ["containerd"],
            [
                "/etc/containerd/certs.d/own.example_5000_/hosts.toml": "[host.\"http://127.0.0.1:3000\"]\n",
                "/etc/containerd/config.toml": "version = 3\n",
            ])
        let found = try Self.look(made, "repositories: { own: { upstream: \"https://own.example:5000\" } }")
        #expect(found.verdicts("engines.engine") == [.ok])
        #expect(found.text.contains("pulls own.example:5000 through here; not docker.io"), "\(found.text)")
    }

    @Test("containerd: what keeps a right hosts.toml from being used")
    func containerdInVain() throws {
        let made = try MadeUpHost(
            programs: ["containerd"],
            ["/etc/containerd/certs.d/docker.io/hosts.toml": "[host.\"http://127.0.0.1:3000\"]\ncapabilities = [\"pull\"]\n"])
        try made.write("/etc/containerd/config.toml", "disabled_plugins = [\"cri\"]\n")
        var found = try Self.look(made)
        #expect(found.verdicts("engines.engine") == [.ok, .note])
        #expect(found.text.contains("leads here for docker.io; not ghcr.io, quay.io, registry.k8s.io, gcr.io …"))
        try made.write(
            "/etc/containerd/config.toml",
            """
            version = 2
            [plugins."io.containerd.grpc.v1.cri".registry]
            config_path = "/etc/containerd/certs.d"
            [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
            endpoint = ["http://127.0.0.1:3000"]
            """)
        #expect(try Self.look(made).verdicts("engines.engine") == [.problem, .ok])
        try made.write("/etc/containerd/certs.d/docker.io/hosts.toml", "[host.\"https://127.0.0.1:3000\"]\n")
        found = try Self.look(made)
        #expect(found.verdicts("engines.engine") == [.warning])
        #expect(found.text.contains("is asked by https, and Amargo speaks http"))
    }

    @Test(
        "docker: what is wrong with a daemon.json",
        arguments: [
            ("{\"registry-mirrors\": [\"http://127.0.0.1:3000\"", Diagnosis.Verdict.problem, "is not valid JSON"),
            ("{}", .warning, "names no registry-mirrors"), ("", .warning, "names no registry-mirrors"),
            ("{\"registry-mirrors\":[\"https://mirror.example\"]}", .warning, "which is not this server"),
            (
                "{\"registry-mirrors\":[\"http://127.0.0.1:5000\"]}", .warning,
                "is this host, but Amargo listens on 127.0.0.1:3000"
            ),
            ("{\"registry-mirrors\":[\"https://localhost:3000\"]}", .warning, "by https"),
        ])
    func docker(_ text: String, _ verdict: Diagnosis.Verdict, _ words: String) throws {
        let found = try Self.look(try MadeUpHost(programs: ["dockerd"], ["/etc/docker/daemon.json": text]))
        #expect(found.verdicts("engines.engine", of: "docker") == [verdict])
        #expect(found.text.contains(words), "\(found.text)")
    }

    @Test("docker: a mirror among others, with a slash or by name, is one; a daemon that does not run is a note")
    func dockerMirrors() throws {
        for mirror in ["http://127.0.0.1:3000/", "http://localhost:3000", "http://127.0.0.2:3000"] {
            let text = "{\"registry-mirrors\":[\"https://mirror.example\",\"\(mirror)\"],\"debug\":true}"
            let found = try Self.look(try MadeUpHost(programs: ["dockerd"], ["/etc/docker/daemon.json": text]))
            #expect(found.verdicts("engines.engine", of: "docker") == [.ok, .note], "\(found.text)")
        }
    }

    @Test("docker: what the running daemon says of its mirrors")
    func dockerInfo() {
        let body =
            #"{"ID":"x","RegistryConfig":{"IndexConfigs":{"docker.io":{"Mirrors":["n"]}},"Mirrors":["http://127.0.0.1:3000/"]}}"#
        #expect(DockerDaemonFile.mirrors(inInfo: Array(body.utf8)) == ["http://127.0.0.1:3000/"])
        #expect(DockerDaemonFile.mirrors(inInfo: Array(#"{"RegistryConfig":{"Mirrors":null}}"#.utf8)) == [])
        #expect(DockerDaemonFile.mirrors(inInfo: Array("<html>".utf8)) == nil)
    }

    /// A daemon that runs on a made-up host since 2027-01-15 08:00:00 UTC (1,800,000,000) and 50 seconds.
    private static func running(_ made: MadeUpHost, _ mirror: String) throws {
        try made.write("/etc/docker/daemon.json", "{\"registry-mirrors\":[\"\(mirror)\"]}")
        try made.write("/proc/stat", "cpu 1 2\nbtime 1800000000\n")
        // Field 22 is the start in ticks since the boot.
        let ticks = 50 * sysconf(Int32(_SC_CLK_TCK))
        try made.write(
            "/proc/77/stat", "77 (dockerd) S 1 77 77 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 9 0 \(ticks) 1 1 1\n")
        try made.write("/proc/77/cmdline", "/usr/bin/dockerd\0-H\0fd://\0")
    }

    @Test("docker: a file that is newer than the daemon may not be in force, and an older one is")
    func dockerNewer() throws {
        let made = try MadeUpHost(programs: ["dockerd"])
        try Self.running(made, "http://127.0.0.1:3000")
        let file = made.path("/etc/docker/daemon.json")
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1_800_000_049)], ofItemAtPath: file)
        #expect(try Self.look(made).verdicts("engines.engine", of: "docker") == [.ok])
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1_800_000_051)], ofItemAtPath: file)
        let newer = try Self.look(made)
        #expect(newer.verdicts("engines.engine", of: "docker") == [.ok, .note])
        #expect(newer.text.contains("is newer than the running dockerd"))
    }

    @Test(
        "docker: a daemon that can be asked says itself what it knows",
        arguments: [("http://127.0.0.1:3000/", [Diagnosis.Verdict.ok]), ("https://mirror.example/", [.ok, .warning])])
    func dockerAsked(_ known: String, _ verdicts: [Diagnosis.Verdict]) async throws {
        let made = try MadeUpHost(programs: ["dockerd"], ["/run/keep": ""])
        try Self.running(made, "http://127.0.0.1:3000")
        let body = "{\"RegistryConfig\":{\"Mirrors\":[\"\(known)\"]}}"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: made.path("/run/docker.sock").utf8) }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(isBound == 0 && listen(listener, 1) == 0)
        async let served: Void = onThread {
            let client = accept(listener, nil, nil)
            var request = [UInt8](repeating: 0, count: 4096)
            _ = recv(client, &request, request.count, 0)
            let answer = Array("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\(body)".utf8)
            _ = send(client, answer, answer.count, 0)
            close(client)
        }
        let found = try await onThread { try Self.look(made) }
        try await served
        #expect(found.verdicts("engines.engine", of: "docker") == verdicts, "\(found.text)")
    }

    @Test("docker: options of the running daemon")
    func options() {
        let arguments = ["dockerd", "--registry-mirror=http://a", "--registry-mirror", "http://b", "--config-file", "/x.json"]
        #expect(DockerFiles.options("--registry-mirror", arguments) == ["http://a", "http://b"])
        #expect(DockerFiles.option("--config-file", arguments) == "/x.json")
        #expect(DockerFiles.option("--data-root", arguments) == nil)
        #expect(DockerFiles.sockets(["dockerd", "-H", "unix:///a.sock", "--host=tcp://x:1"]) == ["/a.sock"])
        #expect(DockerFiles.sockets(["dockerd", "-H", "fd://"]).first == "/run/docker.sock")
    }

    @Test("rootless docker: its own file, and that its loopback is another")
    func rootless() throws {
        let made = try MadeUpHost(["/home/me/.config/docker/daemon.json": "{\"registry-mirrors\":[\"http://127.0.0.1:3000\"]}"])
        let found = try Self.look(made)
        #expect(found.verdicts("engines.engine", of: "docker (rootless)") == [.ok, .note])
    }

    @Test("podman: a later file wins, a user's own takes the place of all, and insecure has to be said")
    func podman() throws {
        let made = try MadeUpHost(programs: ["podman"])
        try Self.configure(.podman, made)
        #expect(try Self.look(made).verdicts("engines.engine", of: "podman") == [.ok])

        try made.write(
            "/etc/containers/registries.conf.d/zz.conf", "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n")
        #expect(try Self.look(made).text.contains("pulls ghcr.io, quay.io"), "docker.io is that of the last file")
        try made.write("/etc/containers/registries.conf.d/zz.conf", "")

        try made.write("/home/me/.config/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n")
        var found = try Self.look(made)
        #expect(found.verdicts("engines.engine", of: "podman") == [.ok, .warning])
        #expect(found.text.contains("me pulls past Amargo"))

        try made.write(
            "/etc/containers/registries.conf.d/amargo.conf",
            "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:3000\"\n")
        found = try Self.look(made)
        #expect(found.verdicts("engines.engine", of: "podman") == [.warning])
        #expect(found.text.contains("lacks insecure = true"))
    }

    @Test("buildkit: http has to be said")
    func buildkit() throws {
        let made = try MadeUpHost(["/etc/buildkit/buildkitd.toml": "[registry.\"docker.io\"]\nmirrors = [\"127.0.0.1:3000\"]\n"])
        let found = try Self.look(made)
        #expect(found.verdicts("engines.engine", of: "buildkit") == [.warning])
        #expect(found.text.contains("lacks http = true"))
    }

    @Test("k3s: a file that is no YAML is a problem, another port a warning")
    func k3s() throws {
        let path = "/etc/rancher/k3s/registries.yaml"
        #expect(try Self.look(try MadeUpHost([path: "mirrors: ["])).verdicts("engines.engine", of: "k3s") == [.problem])
        let other = "mirrors:\n  docker.io:\n    endpoint: [\"http://127.0.0.1:3001\"]\n"
        #expect(
            try Self.look(try MadeUpHost([path: other])).text.contains(
                "http://127.0.0.1:3001 is this host, but Amargo listens on 127.0.0.1:3000"))
    }

    @Test("an engine that goes past is a note when another comes here, or when other hosts are served")
    func severity() throws {
        let made = try MadeUpHost(programs: ["dockerd", "podman"])
        #expect(try Self.look(made).verdicts("engines.engine") == [.warning, .warning])
        #expect(try Self.look(made, "server: { listen: \"0.0.0.0:3000\" }").verdicts("engines.engine") == [.note, .note])
        try Self.configure(.podman, made)
        #expect(try Self.look(made).verdicts("engines.engine") == [.note, .ok])
    }

    @Test("Docker Hub's mirror has to be the default")
    func otherDefault() throws {
        let made = try MadeUpHost(programs: ["dockerd"])
        let text = "repositories: { own: { upstream: \"https://own.example\", default: true } }"
        #expect(try Self.look(made, text).text.contains("names without a registry mean another here"))
    }

    @Test(
        "which addresses are this server",
        arguments: [
            ("127.0.0.1:3000", "http://127.0.0.1:3000", MirrorAddress.Meaning.ours),
            ("127.0.0.1:3000", "localhost:3000/v2", .ours), ("127.0.0.1:3000", "http://lab:3000", .elsewhere),
            ("127.0.0.1:3000", "http://192.168.1.5:3000", .elsewhere), ("0.0.0.0:3000", "http://192.168.1.5:3000", .ours),
            ("0.0.0.0:3000", "http://LAB:3000", .ours),
            ("0.0.0.0:3000", "https://mirror.invalid", .stranger), ("0.0.0.0:3000", "http://mirror..invalid:3000", .stranger),
            ("192.168.1.5:80", "http://192.168.1.5", .ours),
            ("192.168.1.5:80", "https://192.168.1.5:80", .secure), ("0.0.0.0:3000", "http://192.168.1.6:3000", .stranger),
            ("[::1]:3000", "http://[::1]:3000", .ours), ("127.0.0.1:3000", "", .stranger),
        ])
    func meanings(_ listen: String, _ mirror: String, _ meaning: MirrorAddress.Meaning) throws {
        let settings = try Self.settings("server: { listen: \"\(listen)\" }")
        let server = MirrorAddress(settings, own: [[127, 0, 0, 1], [192, 168, 1, 5]], hostName: "lab")
        #expect(server.meaning(of: mirror) == meaning)
    }
}
