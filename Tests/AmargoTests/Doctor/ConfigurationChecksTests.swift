import Foundation
import Glibc
import TestSupport
import Testing

@testable import amargo

/// What is said of the configuration and of the files that it names.
struct ConfigurationChecksTests {
    private static let stranger = HostUser(id: 65_534)

    private static func check(_ made: MadeUpHost, user: HostUser = .current, environment: [String: String] = [:]) throws
        -> [Diagnosis]
    {
        var environment = environment
        environment["HOME"] = made.path("/home/me")
        let options = try StoreOptions.parse(environment["--config"].map { ["--config", $0] } ?? [])
        return ConfigurationCheck(loader: SettingsLoader(options, environment: environment), user: user).look()
    }

    @Test("none is fine, the user's is named with the order in which was searched")
    func file() throws {
        let made = try MadeUpHost()
        let none = try Self.check(made)
        #expect(none.verdicts("configuration.file") == [.ok])
        try made.write("/home/me/.config/amargo/amargo.yaml", "store: { maxSize: 1GB }\n")
        let found = try Self.check(made)
        #expect(found.text.contains("\(made.path("/home/me/.config/amargo/amargo.yaml")) (the first that is there of"))
    }

    @Test("an error with its line, and that the user's comes before the one that was named")
    func errors() throws {
        let made = try MadeUpHost(["/home/me/.config/amargo/amargo.yaml": "{}", "/bad.yaml": "store:\n  maxSise: 1GB\n"])
        let found = try Self.check(made, environment: ["AMARGO_CONFIG": made.path("/bad.yaml")])
        #expect(found.verdicts("configuration.file") == [.problem])
        #expect(found.text.contains("bad.yaml, line 2: unknown key store.maxSise; did you mean store.maxSize?"))
        try made.write("/bad.yaml", "a: [\n")
        #expect(
            try Self.check(made, environment: ["AMARGO_CONFIG": made.path("/bad.yaml")]).text.contains("this is not valid YAML"))
        try made.write("/good.yaml", "{}")
        let shadow = try Self.check(made, environment: ["--config": made.path("/good.yaml")])
        #expect(shadow.verdicts("configuration.shadowed") == [.note])
    }

    @Test("who may read and write it")
    func rights() throws {
        let path = "/home/me/.config/amargo/amargo.yaml"
        let made = try MadeUpHost()
        try made.write(path, "{}", mode: 0o666)
        #expect(try Self.check(made).verdicts("configuration.rights") == [.warning], "everybody may change it")
        try made.write(path, "repositories: { docker: { credentials: { username: u, password: canary } } }", mode: 0o644)
        #expect(try Self.check(made).text.contains("holds a password and can be read by everybody"))
        try made.write(path, "{}", mode: 0o600)
        #expect(try Self.check(made).verdicts("configuration.rights").isEmpty)
        #expect(try Self.check(made, user: Self.stranger).verdicts("configuration.rights") == [.warning])
    }

    @Test(
        "passwords in a text",
        arguments: [
            ("credentials: { username: a, password: b }", true), ("  password: \"x\"", true), ("  passwordFile: /x", false),
            ("# password: x", false), ("password:", false), ("password:  # none", false),
        ])
    func passwords(_ text: String, _ isOne: Bool) {
        #expect(ConfigurationCheck.holdsPassword(text) == isOne)
    }

    @Test("variables that mean nothing, with the one that was meant")
    func environment() {
        let fine = ["AMARGO_CONFIG": "/x", "AMARGO_MY_ONE_USERNAME": "u", "AMARGO_MY_ONE_PASSWORD": "canary", "PATH": "/bin"]
        let found = EnvironmentCheck(environment: fine, registries: ["my-one"]).look()
        #expect(found.map(\.verdict) == [.ok])
        #expect(!found.text.contains("canary"))
        let odd = EnvironmentCheck(environment: ["AMARGO_STOER": "x"], registries: []).look()
        #expect(odd.map(\.verdict) == [.warning])
        #expect(odd.text.contains("Did you mean AMARGO_STORE?"))
    }

    @Test("password files: missing, open to all, closed to who serves, empty, right")
    func secrets() throws {
        let made = try MadeUpHost()
        let path = made.path("/secret")
        let settings = try ConfigurationFileTests.read(
            "repositories:\n  docker:\n    credentials: { username: u, passwordFile: \(path) }")
        func verdict(_ user: HostUser = .current) -> [Diagnosis.Verdict] {
            SecretFilesCheck(settings: settings, user: user).look().map(\.verdict)
        }
        #expect(verdict() == [.problem])
        #expect(
            SecretFilesCheck(settings: settings, user: .current).look().text.contains(
                "repositories.docker.credentials (/etc/amargo.yaml, line 3)"))
        try made.write("/secret", "x", mode: 0o644)
        #expect(verdict() == [.warning])
        try made.write("/secret", "x", mode: 0o600)
        #expect(verdict() == [.ok])
        #expect(verdict(Self.stranger) == [.warning])
        try made.write("/secret", "", mode: 0o600)
        #expect(verdict() == [.problem])
    }

    @Test("a folder for bundles: there and open to who serves")
    func watch() throws {
        let made = try MadeUpHost()
        let settings = try ConfigurationFileTests.read("import: { watch: \(made.path("/in")) }")
        #expect(WatchedFolderCheck(settings: settings, user: .current).look().map(\.verdict) == [.problem])
        try made.write("/in/x", "")
        #expect(WatchedFolderCheck(settings: settings, user: .current).look().map(\.verdict) == [.ok])
        #expect(WatchedFolderCheck(settings: settings, user: Self.stranger).look().map(\.verdict) == [.problem])
        #expect(WatchedFolderCheck(settings: try ConfigurationFileTests.read(""), user: .current).look().isEmpty)
    }

    @Test("certificates: none to read, ending, ended, not yet good, and a key of another")
    func certificates() throws {
        let made = try MadeUpHost(["/empty.pem": "nothing"])
        for name in ["one", "two"] {
            let made = try ShellCommand.run([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                "-subj",
                "/CN=\(name)", "-keyout", made.path("/\(name).key"), "-out", made.path("/\(name).pem"),
            ])
            #expect(made.status == 0)
        }
        func look(_ lines: String, days: Int64 = 0) throws -> [Diagnosis] {
            let settings = try ConfigurationFileTests.read("repositories:\n  docker:\n\(lines)")
            return CertificatesCheck(settings: settings, environment: [:], now: Int64(time(nil)) + days * 86_400).look()
        }
        let authority = "    ca: \(made.path("/one.pem"))"
        let own = "    certificate: \(made.path("/one.pem"))\n    key: \(made.path("/one.key"))"
        #expect(try look("    cacheTtl: 1").isEmpty)
        #expect(try look("    ca: \(made.path("/empty.pem"))").verdicts("configuration.connection") == [.problem])
        let missing = try look("    ca: \(made.path("/missing.pem"))")
        #expect(missing.verdicts("configuration.certificates") == [.problem])
        #expect(missing.text.contains("no such file"))
        #expect(try look("\(authority)\n\(own)").map(\.verdict) == [.ok, .ok])
        #expect(try look(authority, days: 59).map(\.verdict) == [.ok])
        let ending = try look(authority, days: 61)
        #expect(ending.map(\.verdict) == [.warning])
        #expect(ending.text.contains("in 28 days") || ending.text.contains("in 29 days"))
        #expect(try look(authority, days: 91).map(\.verdict) == [.problem])
        #expect(try look(authority, days: -2).text.contains("Is the clock right?"))
        let mixed = try look("    certificate: \(made.path("/one.pem"))\n    key: \(made.path("/two.key"))")
        #expect(mixed.map(\.verdict) == [.problem])
        #expect(mixed.text.contains("the key does not belong to the certificate"), "\(mixed.text)")
    }
}
