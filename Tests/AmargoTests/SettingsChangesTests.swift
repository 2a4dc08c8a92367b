import Testing

@testable import amargo

/// What a reload says of itself.
struct SettingsChangesTests {
    private static func settings(_ text: String) throws -> Settings {
        var settings = try Settings(storePath: "/var/lib/amargo")
        try ConfigurationFile(path: "amargo.yaml").apply(text, to: &settings)
        return settings
    }

    private static func changes(_ old: String, _ new: String) throws -> SettingsChanges {
        SettingsChanges(from: try self.settings(old), to: try self.settings(new))
    }

    @Test("the same configuration in other words is no change")
    func nothing() throws {
        let changes = try Self.changes("", "# nothing\nrepositories: {docker: {cacheTtl: 30m}}\nlog: {level: info}")
        #expect(changes.applied == [])
        #expect(changes.postponed == [])
        #expect(changes.summary == "nothing has changed")
    }

    @Test("each kind of setting is said in the words of the file, old and new")
    func kinds() throws {
        let old = """
            store: {maxSize: 200GB}
            repositories:
              docker: {cacheTtl: 1800}
              gone: {upstream: "https://gone.example"}
            """
        let new = """
            server: {operations: all}
            store: {maxSize: 0, minFree: 5GB}
            cache:
              retainFor: 90d
              repositories: {docker: {maxSize: 1TB, retainFor: 0}}
            repositories:
              docker: {cacheTtl: 600, mirrors: ["https://near.example"], connections: 64}
              lab: {upstream: "http://10.0.0.7:5000"}
              mcr: false
            log: {level: debug}
            """
        let changes = try Self.changes(old, new)
        #expect(
            changes.applied == [
                "server.operations loopback → all", "store.maxSize 200 GB → none", "store.minFree 1 GB → 5 GB",
                "cache.retainFor for ever → 7776000", "log.level info → debug", "[docker] cacheTtl 1800 → 600",
                "[docker] maxSize none → 1 TB", "[docker] retainFor default → for ever",
                "[docker] mirrors default → [\"https://near.example\"]", "[docker] connections default → 64",
                "registry lab added", "registry mcr removed", "registry gone removed",
            ])
        #expect(changes.postponed == [])
        let back = try Self.changes(new, old)
        #expect(back.summary.contains("[docker] connections 64 → default"))
        #expect(back.summary.contains("registry lab removed; registry mcr added") || back.summary.contains("registry mcr added"))
    }

    @Test("what takes a restart is named with what stays, and stays in force")
    func restarts() throws {
        let old = "server: {listen: \"127.0.0.1:3000\"}"
        let new = """
            server: {listen: ["0.0.0.0:80", "[::]:80"]}
            store: {path: /srv/amargo, maxSize: 1GB}
            import: {watch: /var/spool/amargo}
            log: {format: json}
            """
        let changes = try Self.changes(old, new)
        #expect(changes.applied == ["store.maxSize none → 1 GB"])
        #expect(
            changes.postponed == [
                "server.listen takes a restart: it is still 127.0.0.1:3000, not 0.0.0.0:80, [::]:80",
                "store.path takes a restart: it is still /var/lib/amargo, not /srv/amargo",
                "import.watch takes a restart: it is still no folder, not /var/spool/amargo",
                "log.format takes a restart: it is still text, not json",
            ])
        let inForce = SettingsChanges.inForce(try Self.settings(new), after: try Self.settings(old))
        #expect(inForce.listen == ["127.0.0.1:3000"])
        #expect(inForce.storePath == "/var/lib/amargo")
        #expect(inForce.watchedFolder == nil)
        #expect(inForce.logFormat == .text)
        #expect(inForce.maxSize == 1_000_000_000)
    }

    @Test("a secret that changes is said to change, and not what it is")
    func secrets() throws {
        func text(_ password: String, proxy: String) -> String {
            """
            repositories:
              lab:
                upstream: https://lab.example
                credentials: {username: reader, password: \(password)}
                proxy: http://me:\(proxy)@proxy.example:3128
            """
        }
        let changes = try Self.changes(
            text("canary-password-1", proxy: "canary-proxy-1"), text("canary-password-2", proxy: "canary-proxy-2"))
        #expect(changes.applied == ["[lab] credentials changed", "[lab] proxy credentials changed"])
        let removed = try Self.changes(
            text("canary-password-1", proxy: "canary-proxy-1"), "repositories: {lab: {upstream: \"https://lab.example\"}}")
        #expect(removed.applied == ["[lab] proxy http://proxy.example:3128 → default", "[lab] credentials changed"])
    }

    @Test("however much changes, the line has an end")
    func many() throws {
        let new = "repositories:\n" + (0..<100).map { "  r\($0): {upstream: \"https://r\($0).example\"}\n" }.joined()
        let summary = try Self.changes("", new).summary
        #expect(summary.hasPrefix("registry r0 added; registry r1 added; "))
        #expect(summary.hasSuffix("; registry r39 added; 60 more"))
    }
}
