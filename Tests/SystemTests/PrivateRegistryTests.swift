import Foundation
import Testing

extension SystemTests {
    /// A registry that wants to be convinced, and is reached by a detour.
    @Suite("Private registry")
    struct PrivateRegistryTests {
        private static func lines(_ registry: PrivateRegistry, password: String = PrivateRegistry.password) -> [String] {
            [
                "credentials: { username: user, password: \(password) }", "ca: \(registry.file("ca.pem"))",
                "certificate: \(registry.file("client.pem"))", "key: \(registry.file("client.key"))",
                "proxy: http://proxyuser:\(PrivateRegistry.proxyPassword)@127.0.0.1:\(registry.proxyPort)",
            ]
        }

        @Test(
            "htpasswd, a private authority, a client certificate and a proxy that wants a password; no secret is written anywhere"
        )
        func pulls() async throws {
            try await Lab.run { lab in
                let plain = try await lab.registry()
                let image = try await lab.images.image(printing: "private", as: .oci)
                try await plain.push(image, as: "library/secret", tag: "v1")
                let registry = try await PrivateRegistry(showing: plain, in: lab)
                var settings = try lab.settings(upstream: registry.url)
                settings.upstreamLines = Self.lines(registry)
                settings.arguments = ["--log-level", "trace"]
                let amargo = try await lab.amargo(settings)
                let base = "\(amargo.url)/v2/library/secret"
                let before = registry.tunnels()
                #expect(try await Curl.get("\(base)/manifests/v1").status == 200)
                for blob in image.blobs { #expect(try await Curl.get("\(base)/blobs/\(blob.digest)").status == 200) }
                #expect(registry.tunnels() > before)
                #expect(try await Curl.get("\(base)/manifests/other").status == 404)
                let health = String(decoding: try await Curl.get("\(amargo.url)/health").body, as: UTF8.self)
                let check = try await Command(
                    try AmargoProcess.binary(), ["config", "check", "--config", amargo.configuration.path]
                ).run()
                #expect(await amargo.terminate() == .code(0))
                let journal = try String(contentsOf: settings.store.appendingPathComponent("journal.jsonl"), encoding: .utf8)
                for (name, text) in [
                    ("log", amargo.daemon.logText()), ("health", health), ("config check", check.text), ("journal", journal),
                ] {
                    #expect(!text.isEmpty)
                    // The second is `printf 'user:canary-' | base64` without its last, unfinished character.
                    for secret in ["canary", "dXNlcjpjYW5hcnkt", "cHJveHl1c2VyOmNhbmFyeS"] {
                        #expect(!text.contains(secret), "\(secret) in \(name)")
                    }
                }
                #expect(check.text.contains("<redacted>"))
            }
        }

        @Test("what is missing is named: the authority, the certificate, the proxy's password, our own")
        func refusals() async throws {
            try await Lab.run { lab in
                let plain = try await lab.registry()
                let registry = try await PrivateRegistry(showing: plain, in: lab)
                let all = Self.lines(registry)
                let cases: [(lines: [String], status: Int, words: String)] = [
                    (all.filter { !$0.hasPrefix("ca:") }, 502, "TLS failed"),
                    (all.filter { !$0.hasPrefix("certificate") && !$0.hasPrefix("key") }, 502, "127.0.0.1:\(registry.port)"),
                    (
                        all.map { $0.replacingOccurrences(of: PrivateRegistry.proxyPassword, with: "wrong") }, 502,
                        "the proxy makes no tunnel; are its name and password right?"
                    ),
                    (Self.lines(registry, password: "wrong"), 403, "DENIED"),
                    (all.filter { !$0.hasPrefix("credentials") }, 403, "DENIED"),
                ]
                for (index, item) in cases.enumerated() {
                    var settings = try lab.settings(upstream: registry.url)
                    settings.store = lab.folder.appendingPathComponent("store-\(index)")
                    settings.upstreamLines = item.lines
                    let amargo = try await lab.amargo(settings)
                    let answer = try await Curl.get("\(amargo.url)/v2/library/secret/manifests/v1")
                    #expect(answer.status == item.status, "case \(index)")
                    let text = String(decoding: answer.body, as: UTF8.self)
                    #expect(text.contains(item.words), "case \(index): \(text)")
                    #expect(await amargo.terminate() == .code(0))
                }
            }
        }

        @Test("credentials from the environment, from a password file, from docker login, and from a credential helper")
        func sources() async throws {
            try await Lab.run { lab in
                let plain = try await lab.registry()
                let image = try await lab.images.image(printing: "private", as: .oci)
                try await plain.push(image, as: "library/secret", tag: "v1")
                let registry = try await PrivateRegistry(showing: plain, in: lab)
                func write(_ text: String, to name: String) throws -> String {
                    let file = registry.folder.appendingPathComponent(name)
                    try Data(text.utf8).write(to: file)
                    return file.path
                }
                let host = "127.0.0.1:\(registry.port)"
                let secret = try write("\(PrivateRegistry.password)\n", to: "secret")
                // As `docker login` writes it: printf 'user:canary-password' | base64
                let login = try write(#"{"auths":{"\#(host)":{"auth":"dXNlcjpjYW5hcnktcGFzc3dvcmQ="}}}"#, to: "login.json")
                let helpers = registry.folder.appendingPathComponent("bin")
                try FileManager.default.createDirectory(at: helpers, withIntermediateDirectories: true)
                let helper = try write(
                    """
                    #!/bin/sh
                    read -r name
                    [ "$1" = get ] && [ "$name" = "\(host)" ] || { echo "credentials not found in native keychain"; exit 1; }
                    echo '{"ServerURL":"\(host)","Username":"user","Secret":"\(PrivateRegistry.password)"}'

                    """, to: "bin/docker-credential-test")
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: helper)
                let helped = try write(#"{"credHelpers":{"\#(host)":"test"}}"#, to: "helped.json")
                // A certificate with its key behind it in one file.
                let both = try write(
                    try String(contentsOfFile: registry.file("client.pem"), encoding: .utf8)
                        + String(contentsOfFile: registry.file("client.key"), encoding: .utf8), to: "both.pem")
                let rest =
                    Self.lines(registry).filter { line in
                        !["credentials", "certificate", "key"].contains { line.hasPrefix($0) }
                    } + ["certificate: \(both)"]
                let path = "\(helpers.path):\(Program.environment["PATH"] ?? "")"
                let cases: [(lines: [String], environment: [String: String])] = [
                    ([], ["AMARGO_DOCKER_USERNAME": "user", "AMARGO_DOCKER_PASSWORD": PrivateRegistry.password]),
                    (["credentials: { username: user, passwordFile: \(secret) }"], [:]),
                    (["credentials: { dockerConfig: \(login) }"], [:]),
                    (["credentials: { dockerConfig: \(helped) }"], ["PATH": path]),
                ]
                for (index, item) in cases.enumerated() {
                    var settings = try lab.settings(upstream: registry.url)
                    settings.store = lab.folder.appendingPathComponent("store-\(index)")
                    settings.upstreamLines = rest + item.lines
                    settings.environment = item.environment
                    let amargo = try await lab.amargo(settings)
                    #expect(try await Curl.get("\(amargo.url)/v2/library/secret/manifests/v1").status == 200, "case \(index)")
                    #expect(await amargo.terminate() == .code(0))
                }
            }
        }
    }
}
