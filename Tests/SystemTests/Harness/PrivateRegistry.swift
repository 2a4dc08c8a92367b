import Foundation

/// Debian's docker-registry as companies have it: TLS by an authority of their own, a client certificate, htpasswd; and a forward proxy
/// in front that wants a name and a password. It shows what a plain registry has stored.
struct PrivateRegistry: Sendable {
    static let password = "canary-password"
    static let proxyPassword = "canary-proxy"
    /// `htpasswd -nbB user canary-password`
    private static let htpasswd = "user:$2y$05$B3yaRThck85x5GfSkZXN5OTj8E6oYekWnpdRnBxGXTd/KMrPzbAYO\n"

    let port: Int
    let proxyPort: Int
    let folder: URL
    private let proxyLog: URL

    var url: String { "https://127.0.0.1:\(self.port)" }

    func file(_ name: String) -> String { self.folder.appendingPathComponent(name).path }

    /// Starts both programs.
    init(showing registry: DockerRegistry, in lab: Lab) async throws {
        self.folder = try lab.newFolder("private")
        self.port = try LoopbackPort.free()
        self.proxyPort = try LoopbackPort.free()
        self.proxyLog = self.folder.appendingPathComponent("proxy-requests.log")
        let complete = self
        try await complete.start(showing: registry, in: lab)
    }

    private func start(showing registry: DockerRegistry, in lab: Lab) async throws {
        try await self.makeCertificates()
        try Data(Self.htpasswd.utf8).write(to: self.folder.appendingPathComponent("htpasswd"))
        let text = """
            version: 0.1
            storage:
              filesystem:
                rootdirectory: \(registry.storage.path)
            auth:
              htpasswd:
                realm: private
                path: \(self.file("htpasswd"))
            http:
              addr: 127.0.0.1:\(self.port)
              secret: amargo
              tls:
                certificate: \(self.file("server.pem"))
                key: \(self.file("server.key"))
                clientcas: [\(self.file("ca.pem"))]

            """
        let configuration = self.folder.appendingPathComponent("registry.yml")
        try Data(text.utf8).write(to: configuration)
        let daemon = Daemon(
            "private registry", try Program.dockerRegistry.url(), ["serve", configuration.path],
            log: self.folder.appendingPathComponent("registry.log"))
        try await lab.start(daemon) { try await self.answers(through: []) }
        try await self.startProxy(in: lab)
    }

    private func startProxy(in lab: Lab) async throws {
        let configuration = self.folder.appendingPathComponent("tinyproxy.conf")
        let text = """
            Port \(self.proxyPort)
            Listen 127.0.0.1
            Timeout 60
            LogFile "\(self.proxyLog.path)"
            LogLevel Connect
            MaxClients 100
            BasicAuth proxyuser \(Self.proxyPassword)
            ConnectPort \(self.port)

            """
        try Data(text.utf8).write(to: configuration)
        let daemon = Daemon(
            "proxy", try Program.tinyproxy.url(), ["-d", "-c", configuration.path],
            log: self.folder.appendingPathComponent("proxy.log"))
        try await lab.start(daemon) {
            try await self.answers(through: ["--proxy", "http://proxyuser:\(Self.proxyPassword)@127.0.0.1:\(self.proxyPort)"])
        }
    }

    private func answers(through options: [String]) async throws -> Bool {
        try await Command(
            .curl,
            [
                "--silent", "--max-time", "5", "--output", "/dev/null", "--cacert", self.file("ca.pem"), "--cert",
                self.file("client.pem"), "--key", self.file("client.key"),
            ] + options + ["\(self.url)/v2/"]
        ).outcome().succeeded
    }

    /// How many tunnels the proxy has made.
    func tunnels() -> Int {
        guard let text = try? String(contentsOf: self.proxyLog, encoding: .utf8) else { return 0 }
        return text.split(separator: "\n").count { $0.contains("Established connection to host \"127.0.0.1\"") }
    }

    private func makeCertificates() async throws {
        func openssl(_ arguments: String...) async throws {
            try await Command(.openssl, arguments).run()
        }
        try await openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Private Authority", "-keyout",
            self.file("ca.key"), "-out", self.file("ca.pem"))
        for (name, extra) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")] {
            let extensions = self.folder.appendingPathComponent("\(name).ext")
            try Data("\(extra)\n".utf8).write(to: extensions)
            try await openssl(
                "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(name)", "-keyout", self.file("\(name).key"), "-out",
                self.file("\(name).csr"))
            try await openssl(
                "x509", "-req", "-in", self.file("\(name).csr"), "-CA", self.file("ca.pem"), "-CAkey", self.file("ca.key"),
                "-CAcreateserial", "-days", "2", "-extfile", extensions.path, "-out", self.file("\(name).pem"))
        }
    }
}
