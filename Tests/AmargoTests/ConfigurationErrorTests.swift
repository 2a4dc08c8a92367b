import Testing

@testable import amargo

/// Every error is one sentence that names the file, the line and the key.
struct ConfigurationErrorTests {
    private static func error(_ text: String) -> String? {
        do {
            _ = try ConfigurationFileTests.read(text)
            return nil
        } catch {
            return error is SettingsError ? "\(error)" : "another error: \(error)"
        }
    }

    @Test(
        "an unknown key names the one that was probably meant",
        arguments: [
            ("stroe:\n  path: /x", "/etc/amargo.yaml, line 1: unknown key stroe; did you mean store?"),
            (
                "store:\n  path: /x\n  maxsize: 1",
                "/etc/amargo.yaml, line 3: unknown key store.maxsize; did you mean store.maxSize?"
            ),
            ("\n\nlog:\n  levle: info", "/etc/amargo.yaml, line 4: unknown key log.levle; did you mean log.level?"),
            ("server:\n  banana: 1", "/etc/amargo.yaml, line 2: unknown key server.banana; known here: listen, operations"),
            (
                "repositories:\n  docker:\n    cachettl: 1",
                "/etc/amargo.yaml, line 3: unknown key repositories.docker.cachettl; did you mean repositories.docker.cacheTtl?"
            ),
            (
                "cache:\n  repositories:\n    dokcer:\n      maxSize: 1",
                "/etc/amargo.yaml, line 3: unknown key cache.repositories.dokcer; did you mean cache.repositories.docker?"
            ),
            (
                "cache:\n  repositories:\n    docker:\n      maxSiez: 1",
                "/etc/amargo.yaml, line 4: unknown key cache.repositories.docker.maxSiez; "
                    + "did you mean cache.repositories.docker.maxSize?"
            ),
            ("cache:\n  maxSize: 1", "/etc/amargo.yaml, line 2: unknown key cache.maxSize; known here: repositories, retainFor"),
        ])
    func unknownKeys(_ text: String, _ expected: String) {
        #expect(Self.error(text) == expected)
    }

    @Test(
        "a wrong value says what would be right",
        arguments: [
            ("server:\n  operations: lan", "line 2: server.operations must be loopback or all, not \"lan\""),
            ("server:\n  listen: []", "line 2: server.listen must name at least one address"),
            ("store:\n  path: \"\"", "line 2: store.path must name a folder"),
            ("store:\n  maxSize: huge", "line 2: store.maxSize must be a size such as 200GB, 1TB or 512MiB, not \"huge\""),
            ("store:\n  minFree: -1", "line 2: store.minFree must be a size such as 200GB, 1TB or 512MiB, not \"-1\""),
            (
                "repositories:\n  docker:\n    cacheTtl: soon",
                "line 3: repositories.docker.cacheTtl must be seconds or a duration such as 1800, 30m, 24h or 7d, not \"soon\""
            ),
            (
                "repositories:\n  docker:\n    default: yes",
                "line 3: repositories.docker.default must be true or false, not \"yes\""
            ),
            ("log:\n  format: xml", "line 2: log.format must be text or json, not \"xml\""),
        ])
    func wrongValues(_ text: String, _ expected: String) {
        #expect(Self.error(text) == "/etc/amargo.yaml, \(expected)")
    }

    @Test(
        "values of which only the place is fixed",
        arguments: [
            ("log:\n  level: loud", "line 2: log.level must be one of"),
            ("repositories:\n  x:\n    upstream: ghcr.io", "line 3: repositories.x.upstream must be an address such as"),
            (
                "repositories:\n  x:\n    upstream: https://ghcr.io/../v2",
                "line 3: repositories.x.upstream must be an address such as"
            ),
            ("repositories:\n  x:\n    cacheTtl: 1", "line 2: repositories.x needs an upstream"),
            ("repositories:\n  x:\n    upstream:", "line 2: repositories.x needs an upstream"),
            ("repositories:\n  x:", "line 2: repositories.x needs an upstream"),
            ("repositories:\n  x: ~", "line 2: repositories.x needs an upstream"),
            ("repositories:\n  x:\n    upstream: http://registry", "line 2: repositories.x needs namespaces"),
            ("repositories:\n  docker:\n    namespaces: []", "line 2: repositories.docker needs namespaces"),
            ("repositories:\n  docker:\n    namespaces: [docker]", "line 3: repositories.docker.namespaces \"docker\" is not"),
            (
                "repositories:\n  docker:\n    namespaces: [Docker.io]",
                "line 3: repositories.docker.namespaces \"Docker.io\" is not"
            ),
        ])
    func wrongPlaces(_ text: String, _ expected: String) {
        #expect(Self.error(text)?.hasPrefix("/etc/amargo.yaml, \(expected)") == true, "\(Self.error(text) ?? "no error")")
    }

    @Test(
        "a value of the wrong kind",
        arguments: [
            ("store: /srv", "line 1: store must hold keys and values"), ("- store", "line 1: the file must hold keys and values"),
            ("text", "line 1: the file must hold keys and values"), ("store: [1]", "line 1: store must hold keys and values"),
            ("store:\n  path: [a, b]", "line 2: store.path must be a single value"),
            ("store:\n  maxSize: {a: 1}", "line 2: store.maxSize must be a single value"),
            ("server:\n  listen: {a: 1}", "line 2: server.listen must be a text or a list of texts"),
            ("server:\n  listen: [[a]]", "line 2: server.listen must be a list of texts"),
            ("log:\n  level: [info]", "line 2: log.level must be a single value"),
            ("repositories: [docker]", "line 1: repositories must hold keys and values"),
            (
                "repositories:\n  docker: https://x",
                "line 2: repositories.docker must hold keys and values, or false to remove it"
            ),
            ("cache:\n  repositories:\n    docker: 5GB", "line 3: cache.repositories.docker must hold keys and values"),
        ])
    func wrongKinds(_ text: String, _ expected: String) {
        #expect(Self.error(text)?.hasPrefix("/etc/amargo.yaml, \(expected)") == true, "\(Self.error(text) ?? "no error")")
    }

    @Test(
        "a key that stands twice is an error that says where",
        arguments: [
            ("log:\n  level: info\nlog:\n  level: debug", "log"), ("store:\n  path: /a\n  path: /b", "path"),
            ("repositories:\n  docker:\n    cacheTtl: 1\n  docker:\n    cacheTtl: 2", "docker"),
            ("cache:\n  repositories:\n    docker: {}\n    docker: {}", "docker"),
        ])
    func duplicates(_ text: String, _ key: String) {
        let error = Self.error(text)
        #expect(error?.hasPrefix("/etc/amargo.yaml") == true)
        #expect(error?.contains(key) == true)
        #expect(error?.contains("another error") == false)
        #expect(error?.contains("\n") == false)
    }

    @Test(
        "a text that is no YAML is one sentence with a line",
        arguments: ["a: [", "a: b: c", "\"", "a: \"x", "\ta: 1", "a: *x", "{", "a: 1\n b: 2", "%"])
    func noYAML(_ text: String) {
        let error = Self.error(text)
        #expect(error?.hasPrefix("/etc/amargo.yaml, line ") == true, "\(error ?? "no error")")
        #expect(error?.contains("not valid YAML: ") == true, "\(error ?? "no error")")
        #expect(error?.contains("\n") == false)
    }

    @Test(
        "a broken line is not shown: there may be a password in it",
        arguments: ["password: \"canary", "password: canary: x", "\tpassword: canary"])
    func secrets(_ line: String) {
        #expect(Self.error("repositories:\n  docker:\n    credentials:\n      \(line)")?.contains("canary") == false)
    }

    @Test("two defaults")
    func twoDefaults() {
        let text = """
            repositories:
              docker: {default: true}
              github: {upstream: "https://ghcr.io", default: true}
            """
        #expect(Self.error(text) == "/etc/amargo.yaml: more than one repository is the default: docker, github")
    }

    @Test("a namespace with two owners")
    func twoOwners() {
        let text = """
            repositories:
              mine: {upstream: "https://mirror.example", namespaces: [mirror.example, docker.io]}
              docker: {cacheTtl: 1}
            """
        #expect(Self.error(text) == "/etc/amargo.yaml: the namespace docker.io belongs to docker and to mine")
        let byHost = "repositories:\n  a: {upstream: \"https://x.y\"}\n  b: {upstream: \"http://x.y\"}"
        #expect(Self.error(byHost) == "/etc/amargo.yaml: the namespace x.y belongs to a and to b")
    }
}
