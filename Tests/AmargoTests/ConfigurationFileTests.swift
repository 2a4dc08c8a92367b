import Logging
import OCI
import Registry
import Testing
import Upstream

@testable import amargo

struct ConfigurationFileTests {
    static func read(_ text: String) throws -> Settings {
        var settings = try Settings(storePath: "/default")
        try ConfigurationFile(path: "/etc/amargo.yaml").apply(text, to: &settings)
        return settings
    }

    private static let everyKey = """
        server:
          listen: [127.0.0.1:3000, "[::1]:3000"]
          operations: all
        store:
          path: /srv/amargo
          maxSize: 200GB
          minFree: 10GiB
        repositories:
          docker:
            cacheTtl: 10m
            default: false
          github:
            upstream: https://ghcr.io
            default: true
          mine:
            upstream: http://registry.local:5000
            namespaces: [registry.local:5000, mine.example]
            cacheTtl: 7d
        cache:
          repositories:
            github:
              maxSize: 20GB
        log:
          level: debug
          format: json
        """

    @Test("every key is read")
    func complete() throws {
        let settings = try Self.read(Self.everyKey)
        #expect(settings.listen == ["127.0.0.1:3000", "[::1]:3000"])
        #expect(settings.operations == .all)
        #expect(settings.storePath == "/srv/amargo")
        #expect(settings.maxSize == 200_000_000_000)
        #expect(settings.minFree == 10_737_418_240)
        #expect(settings.logLevel == .debug)
        #expect(settings.logFormat == .json)
        let docker = try #require(settings.repositories.first)
        #expect(docker.name == "docker")
        #expect(docker.upstream.description == "https://registry-1.docker.io")
        #expect(docker.namespaces.map(\.description) == ["docker.io", "index.docker.io", "registry-1.docker.io"])
        #expect(docker.cacheTtl == 600)
        #expect(!docker.isDefault)
        let own = settings.repositories.suffix(2)
        #expect(own.map(\.name) == ["github", "mine"])
        #expect(own.map(\.upstream.description) == ["https://ghcr.io", "http://registry.local:5000"])
        #expect(own.map { $0.namespaces.map(\.description) } == [["ghcr.io"], ["registry.local:5000", "mine.example"]])
        #expect(own.map(\.isDefault) == [true, false])
        #expect(own.map(\.cacheTtl) == [1_800, 604_800])
        #expect(own.map(\.maxSize) == [20_000_000_000, 0])
        #expect(settings.repositories.filter(\.isDefault).map(\.name) == ["github"])
    }

    @Test("the public registries are there without being configured, until the file takes their names or says false")
    func builtIn() throws {
        let plain = try Self.read("")
        #expect(
            plain.repositories.map { "\($0.upstream) \($0.namespaces[0])" } == [
                "https://registry-1.docker.io docker.io", "https://ghcr.io ghcr.io", "https://quay.io quay.io",
                "https://registry.k8s.io registry.k8s.io", "https://gcr.io gcr.io", "https://mcr.microsoft.com mcr.microsoft.com",
                "https://public.ecr.aws public.ecr.aws",
            ])
        #expect(plain.repositories.filter(\.isDefault).map(\.name) == ["docker"])
        let taken = try Self.read("repositories:\n  mirror:\n    upstream: https://mirror.example\n    namespaces: [quay.io]")
        #expect(taken.repositories.map(\.name) == ["docker", "ghcr", "kubernetes", "gcr", "mcr", "ecr-public", "mirror"])
        let removed = try Self.read("repositories:\n  quay: false\n  docker: false")
        #expect(removed.repositories.map(\.name) == ["ghcr", "kubernetes", "gcr", "mcr", "ecr-public"])
    }

    @Test("every key that was read knows its line")
    func origins() throws {
        let origins = try Self.read(Self.everyKey).origins
        let lines = [
            "server.listen": 2, "server.operations": 3, "store.path": 5, "store.maxSize": 6, "store.minFree": 7,
            "repositories.docker.cacheTtl": 10, "repositories.docker.default": 11, "repositories.github.upstream": 13,
            "repositories.github.default": 14, "repositories.mine.upstream": 16, "repositories.mine.namespaces": 17,
            "repositories.mine.cacheTtl": 18, "cache.repositories.github.maxSize": 22, "log.level": 24, "log.format": 25,
        ]
        #expect(origins == lines.mapValues { "/etc/amargo.yaml, line \($0)" })
    }

    @Test(
        "without a file, and with an empty one, the defaults hold",
        arguments: ["", "\n", "# nothing\n", "---\n", "{}", "~", "null"])
    func defaults(_ text: String) throws {
        for settings in [try Settings(storePath: "/default"), try Self.read(text)] {
            #expect(settings.listen == ["127.0.0.1:3000"])
            #expect(settings.operations == .loopback)
            #expect(settings.storePath == "/default")
            #expect(settings.maxSize == 0)
            #expect(settings.minFree == 1_000_000_000)
            #expect(settings.repositories == (try Settings.builtInRepositories()))
            #expect(settings.repositories[0].isDefault)
            #expect(settings.repositories[0].cacheTtl == 1_800)
            #expect(settings.logLevel == .info)
            #expect(settings.logFormat == .text)
            #expect(settings.origins.isEmpty)
        }
    }

    @Test(
        "a key without a value is as if it were not there",
        arguments: [
            "server:", "store: ~", "log: null", "server:\n  listen:\n  operations: ~", "store:\n  path:\n  maxSize: null",
            "repositories:", "repositories:\n  docker:",
            "repositories:\n  docker:\n    upstream:\n    namespaces:\n    cacheTtl:",
            "cache:", "cache:\n  repositories:", "cache:\n  repositories:\n    docker:\n      maxSize:",
            "log:\n  level:\n  format:",
        ])
    func nulls(_ text: String) throws {
        let settings = try Self.read(text)
        let plain = try Settings(storePath: "/default")
        #expect(settings.listen == plain.listen)
        #expect(settings.storePath == plain.storePath)
        #expect(settings.repositories == plain.repositories)
        #expect(settings.logLevel == plain.logLevel)
        #expect(settings.origins.isEmpty)
    }

    @Test("one address needs no list, and one key no other")
    func shortForms() throws {
        #expect(try Self.read("server: {listen: 0.0.0.0:80}").listen == ["0.0.0.0:80"])
        #expect(try Self.read("store:\n  maxSize: 0").maxSize == 0)
        #expect(try Self.read("store:\n  minFree: 5_000").minFree == 5_000)
        #expect(try Self.read("repositories: {docker: {namespaces: docker.io}}").repositories[0].namespaces.count == 1)
    }

    @Test("a file's default takes the place of Docker Hub")
    func otherDefault() throws {
        let settings = try Self.read("repositories:\n  github:\n    upstream: https://ghcr.io\n    default: true")
        #expect(settings.repositories.filter(\.isDefault).map(\.name) == ["github"])
        let none = try Self.read("repositories:\n  docker:\n    default: false")
        #expect(none.repositories.filter(\.isDefault).isEmpty)
    }

    @Test("a registry's namespace is its host, if nothing else is said")
    func ownNamespace() throws {
        let settings = try Self.read("repositories:\n  mine:\n    upstream: http://10.0.0.1:5000")
        #expect(settings.repositories.last?.namespaces.map(\.description) == ["10.0.0.1:5000"])
    }

    @Test("what comes from the file is printed with its line, and reads as it was", arguments: [everyKey, ""])
    func effective(_ text: String) throws {
        let settings = try Self.read(text)
        let printed = EffectiveConfiguration(settings: settings).text
        var again = try Settings(storePath: "/other")
        try ConfigurationFile(path: "printed").apply(printed, to: &again)
        #expect(again.listen == settings.listen)
        #expect(again.operations == settings.operations)
        #expect(again.storePath == settings.storePath)
        #expect(again.maxSize == settings.maxSize)
        #expect(again.minFree == settings.minFree)
        #expect(again.repositories == settings.repositories)
        #expect(again.logLevel == settings.logLevel)
        #expect(again.logFormat == settings.logFormat)
        #expect(printed.contains("# default"))
        #expect(printed.contains("# /etc/amargo.yaml, line 5") == !text.isEmpty)
    }

    @Test("a mirror that takes docker.io is Docker Hub: with its aliases, and as the default")
    func mirrorOfDockerHub() throws {
        let settings = try Self.read("repositories: {mirror: {upstream: \"https://hub.example\", namespaces: [docker.io]}}")
        #expect(!settings.repositories.map(\.name).contains("docker"))
        let mirror = try #require(settings.repositories.first { $0.name == "mirror" })
        #expect(mirror.namespaces.map(\.description) == ["docker.io", "index.docker.io", "registry-1.docker.io"])
        #expect(mirror.isDefault)
    }
}
