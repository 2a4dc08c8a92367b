import Foundation
import Glibc
import OCI

/// Docker Engine: /etc/docker/daemon.json, and what the running daemon has taken of it.
struct DockerFiles: Engine {
    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport {
        var report = EngineReport(
            "docker", isInstalled: host.hasProgram("dockerd") || host.exists("/etc/docker/daemon.json"))
        guard report.isInstalled else { return report }
        let daemon = host.processes("dockerd").first { !$0.arguments.contains { $0.contains("rootless") } }
        let file = DockerDaemonFile(
            path: daemon.flatMap { Self.option("--config-file", $0.arguments) } ?? "/etc/docker/daemon.json",
            reload: "systemctl restart docker", daemon: daemon, sockets: Self.sockets(daemon?.arguments ?? []))
        file.judge(host, server, client, &report)
        return report
    }

    /// Where the daemon answers: what it was told, else the usual place.
    static func sockets(_ arguments: [String]) -> [String] {
        let hosts = Self.options("-H", arguments) + Self.options("--host", arguments)
        let own = hosts.filter { $0.hasPrefix("unix://") }.map { String($0.dropFirst(7)) }
        return own.isEmpty ? ["/run/docker.sock", "/var/run/docker.sock"] : own
    }

    /// `--name value` or `--name=value`, the last one.
    static func option(_ name: String, _ arguments: [String]) -> String? { Self.options(name, arguments).last }

    static func options(_ name: String, _ arguments: [String]) -> [String] {
        var values: [String] = []
        for (index, argument) in arguments.enumerated() {
            if argument.hasPrefix("\(name)=") {
                values.append(String(argument.dropFirst(name.count + 1)))
            } else if argument == name, index + 1 < arguments.count {
                values.append(arguments[index + 1])
            }
        }
        return values
    }
}

/// Docker Engine of a user: ~/.config/docker/daemon.json.
struct RootlessDockerFiles: Engine {
    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport {
        let homes = host.homes.filter {
            host.exists("\($0)/.config/docker/daemon.json") || host.exists("\($0)/.config/systemd/user/docker.service")
        }
        var report = EngineReport("docker (rootless)", isInstalled: !homes.isEmpty)
        for home in homes {
            let file = DockerDaemonFile(
                path: "\(home)/.config/docker/daemon.json", reload: "systemctl --user restart docker", daemon: nil, sockets: [])
            file.judge(host, server, client, &report)
        }
        // Its network is one of its own: 127.0.0.1 is not this host there.
        if report.usesUs {
            report.say(
                .note,
                "a rootless daemon has a loopback of its own: 127.0.0.1 leads nowhere unless it was started with host loopback",
                "Name an address of this host instead: amargo client-config docker --host ADDRESS")
        }
        return report
    }
}

/// A `daemon.json`.
struct DockerDaemonFile {
    let path: String
    let reload: String
    let daemon: HostProcess?
    let sockets: [String]

    func judge(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer, _ report: inout EngineReport) {
        let advice = "amargo client-config docker shows what belongs into \(self.path); then: \(self.reload)"
        guard client.dockerHub?.isDefault == true else {
            return report.say(
                .note,
                "cannot be served: Docker asks its mirrors for Docker Hub's images, and names without a registry mean another here",
                "amargo client-config docker says more.")
        }
        var mirrors = self.daemon.map { DockerFiles.options("--registry-mirror", $0.arguments) } ?? []
        let isByOption = !mirrors.isEmpty
        if host.exists(self.path) || !isByOption {
            do {
                let text = try host.text(self.path)
                mirrors += try Self.mirrors(in: text)
            } catch let error as TextFile.Failure where !host.exists(self.path) && error.code == .unreadable {
                if mirrors.isEmpty {
                    return report.isUnused("pulls past Amargo: there is no \(self.path)", advice)
                }
            } catch let error as TextFile.Failure {
                return report.say(.note, "\(self.path) cannot be read: \(error.reason)", "Run this as root.")
            } catch {
                return report.say(
                    .problem, "\(self.path) is not valid JSON, it \(error): Docker does not start with it",
                    "Mend it (dockerd --validate --config-file \(self.path) says where); then: \(self.reload)")
            }
        }
        if server.complaint(mirrors) == nil, mirrors.contains(where: { server.meaning(of: $0) == .ours }) {
            let place = isByOption ? "--registry-mirror" : self.path
            report.uses("pulls Docker Hub's images through here (\(place))")
            return self.judgeRunning(host, server, &report)
        }
        if let complaint = server.complaint(mirrors) {
            return report.say(
                .warning, "\(self.path): \(complaint)",
                "registry-mirrors: [\"http://\(server.suggestion)\"]; then: \(self.reload)")
        }
        if mirrors.isEmpty { return report.isUnused("pulls past Amargo: \(self.path) names no registry-mirrors", advice) }
        report.isUnused("pulls by way of \(mirrors.joined(separator: ", ")), which is not this server", advice)
    }

    /// Whether the daemon has taken the file: it says so itself, to those whom it lets ask.
    private func judgeRunning(_ host: Machine, _ server: MirrorAddress, _ report: inout EngineReport) {
        guard let daemon = self.daemon else {
            if !self.sockets.isEmpty { report.say(.note, "dockerd does not run", "systemctl start docker") }
            return
        }
        for socket in self.sockets where host.exists(socket) {
            guard let answer = try? LocalRequest.get("/info", at: .unix(path: host.path(socket)), seconds: 3),
                let mirrors = Self.mirrors(inInfo: answer.body)
            else { continue }
            if mirrors.contains(where: { server.meaning(of: $0) == .ours }) { return }
            return report.say(
                .warning, "the running dockerd does not know the mirror yet: \(self.path) was changed after it had started",
                self.reload)
        }
        var status = stat()
        guard let start = daemon.startedAt, stat(host.path(self.path), &status) == 0, Int64(status.st_mtim.tv_sec) > start else {
            return
        }
        report.say(
            .note, "\(self.path) is newer than the running dockerd; whether it was reloaded cannot be seen from here",
            "If not: \(self.reload)")
    }

    /// `registry-mirrors` of a `daemon.json`.
    ///
    /// - Throws: `JSONError`, which completes "the document …".
    static func mirrors(in text: String) throws -> [String] {
        var mirrors: [String] = []
        // An empty file is as good as none.
        guard text.contains(where: { !$0.isWhitespace }) else { return [] }
        try Array(text.utf8).withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    guard key == "registry-mirrors" else { return try reader.skipValue() }
                    try reader.array { mirrors.append(try $0.string()) }
                }
            }
        }
        return mirrors
    }

    /// `RegistryConfig.Mirrors` of the Engine's API, `GET /info`; nil for what is no such answer.
    static func mirrors(inInfo body: [UInt8]) -> [String]? {
        var mirrors: [String]?
        try? body.withUnsafeBytes { bytes in  // then it is no such answer
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    guard key == "RegistryConfig", try reader.peek() == .object else { return try reader.skipValue() }
                    try reader.object { reader, key in
                        guard key == "Mirrors" else { return try reader.skipValue() }
                        var found: [String] = []
                        if try reader.peek() == .array {
                            try reader.array { found.append(try $0.string()) }
                        } else {
                            try reader.skipValue()
                        }
                        mirrors = found
                    }
                }
            }
        }
        return mirrors
    }
}
