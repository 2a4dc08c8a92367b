import Foundation
import Glibc
import NIOPosix
import TestSupport
import Testing
import Upstream

@testable import amargo

/// What is said of registries, asked on loopback.
struct UpstreamsCheckTests {
    private static let now: Int64 = 1_795_896_000  // Sat, 28 Nov 2026 20:00:00 GMT, by date -u

    private static func look(
        _ upstreams: [String: String], patience: Duration = .seconds(5), offset: Int64 = 0
    ) async throws -> [Diagnosis] {
        // Nothing of the built-in ones: they would be asked.
        let off = ["docker", "ghcr", "quay", "kubernetes", "gcr", "mcr", "ecr-public"].map { "  \($0): false\n" }.joined()
        let own = upstreams.sorted { $0.key < $1.key }.map {
            "  \($0.key):\n    namespaces: [\($0.key).example]\n    \($0.value)\n"
        }.joined()
        let check = UpstreamsCheck(
            settings: try ConfigurationFileTests.read("repositories:\n\(off)\(own)"), environment: [:],
            group: MultiThreadedEventLoopGroup.singleton, patience: patience, now: { Self.now + offset })
        return await check.diagnoses()
    }

    private static let date = Behaviour.header("Date", "Sat, 28 Nov 2026 20:00:00 GMT")

    @Test("a registry that wants nothing, and a clock that agrees")
    func open() async throws {
        let upstream = try ScriptedUpstream()
        upstream.scriptForever(.path("/v2/"), Self.date)
        let found = try await Self.look(["one": "upstream: \(upstream.url)"], offset: -30)
        #expect(found.verdicts("upstreams.registry", of: "one") == [.ok], "\(found.text)")
        #expect(found.text.contains("wants no credentials"))
        #expect(found.verdicts("clock.registries") == [.ok])
        #expect(upstream.requests.map(\.path) == ["/v2/"], "nothing is pulled")
    }

    @Test(
        "a clock that is off",
        arguments: [
            (-61, Diagnosis.Verdict.warning, "is 61 s behind"), (301, .problem, "is 5 minutes ahead of"),
            (299, .warning, "ahead of"),
        ])
    func clock(_ offset: Int64, _ verdict: Diagnosis.Verdict, _ words: String) async throws {
        let upstream = try ScriptedUpstream()
        upstream.scriptForever(.path("/v2/"), Self.date)
        let found = try await Self.look(["one": "upstream: \(upstream.url)"], offset: offset)
        #expect(found.verdicts("clock.registries") == [verdict])
        #expect(found.text.contains(words), "\(found.text)")
    }

    @Test("one registry with a wrong clock is not this host's")
    func median() async throws {
        let upstreams = try [ScriptedUpstream(), ScriptedUpstream(), ScriptedUpstream()]
        for upstream in upstreams.dropFirst() { upstream.scriptForever(.path("/v2/"), Self.date) }
        upstreams[0].scriptForever(.path("/v2/"), .header("Date", "Sat, 28 Nov 2026 09:00:00 GMT"))
        let found = try await Self.look([
            "a": "upstream: \(upstreams[0].url)", "b": "upstream: \(upstreams[1].url)", "c": "upstream: \(upstreams[2].url)",
        ])
        #expect(found.verdicts("clock.registries") == [.ok])
        // An answer from a cache is as old as it says.
        upstreams[0].scriptForever(
            .path("/v2/"), Behaviour.header("Date", "Sat, 28 Nov 2026 19:00:00 GMT").and(.header("Age", "3600")))
        let cached = try await Self.look(["a": "upstream: \(upstreams[0].url)"])
        #expect(cached.verdicts("clock.registries") == [.ok])
    }

    @Test("tokens: for everybody, for a name and a password, and refused")
    func tokens() async throws {
        let upstream = try ScriptedUpstream(tokenService: true)
        let anybody = try await Self.look(["one": "upstream: \(upstream.url)"])
        #expect(anybody.verdicts("upstreams.registry") == [.ok])
        #expect(anybody.text.contains("gives tokens to everybody"))
        let secret = "credentials: { username: me, password: canary-password }"
        let known = try await Self.look(["one": "upstream: \(upstream.url)\n    \(secret)"])
        #expect(known.verdicts("upstreams.registry") == [.ok])
        #expect(known.text.contains("accepts the credentials of me"))
        #expect(upstream.requests(path: "/token").last?.header("authorization") != nil)
        upstream.scriptForever(.token, .status(401))
        let refused = try await Self.look(["one": "upstream: \(upstream.url)\n    \(secret)"])
        #expect(refused.verdicts("upstreams.registry") == [.problem])
        #expect(refused.text.contains("127.0.0.1:\(upstream.port) refuses the credentials of me"))
        #expect(refused.text.contains("docker login -u me"))
        #expect(!refused.text.contains("canary") && !known.text.contains("canary"))
        let unnamed = try await Self.look(["one": "upstream: \(upstream.url)"])
        #expect(unnamed.verdicts("upstreams.registry") == [.note])
        #expect(unnamed.text.contains("gives a token only for what is public"))
    }

    @Test("Basic credentials: accepted, refused, missing")
    func basic() async throws {
        let upstream = try ScriptedUpstream()
        let challenge = Behaviour.status(401, headers: [("WWW-Authenticate", "Basic realm=\"x\"")])
        let secret = "upstream: \(upstream.url)\n    credentials: { username: me, password: canary-password }"
        upstream.script(.path("/v2/"), challenge)
        #expect(try await Self.look(["one": secret]).text.contains("accepts the credentials of me"))
        upstream.scriptForever(.path("/v2/"), challenge)
        #expect(try await Self.look(["one": secret]).verdicts("upstreams.registry") == [.problem])
        #expect(try await Self.look(["one": "upstream: \(upstream.url)"]).verdicts("upstreams.registry") == [.warning])
    }

    @Test("credentials that are another registry's, and a proxy that is none")
    func notForIt() async throws {
        let made = try MadeUpHost(["/config.json": "{\"auths\":{\"other.example\":{\"auth\":\"dTpw\"}}}"])
        let upstream = try ScriptedUpstream(tokenService: true)
        let lines = "upstream: \(upstream.url)\n    credentials: { dockerConfig: \(made.path("/config.json")) }"
        let found = try await Self.look(["one": lines])
        #expect(found.verdicts("upstreams.registry") == [.warning])
        #expect(found.text.contains("is asked as a stranger"))
        let proxied = CertificatesCheck(
            settings: try ConfigurationFileTests.read(""), environment: ["HTTPS_PROXY": "ftp://u:canary@x"], now: Self.now
        ).look()
        #expect(proxied.map(\.id) == ["configuration.proxy"], "once, not for each registry")
        #expect(!proxied.text.contains("canary"))
    }

    /// Docker Hub as it answers, by way of a proxy that is the scripted registry.
    @Test("Docker Hub's rate limit, by a HEAD that costs no pull")
    func rateLimit() async throws {
        let proxy = try ScriptedUpstream()
        // The tunnel ends where it begins.
        proxy.scriptForever(RequestMatcher(method: "CONNECT"), .raw("HTTP/1.1 200 OK\r\n\r\n", thenClose: false))
        proxy.scriptForever(
            RequestMatcher(suffix: "/v2/"),
            .status(
                401,
                headers: [("WWW-Authenticate", "Bearer realm=\"http://auth.docker.io/token\",service=\"registry.docker.io\"")]))
        proxy.scriptForever(
            RequestMatcher(suffix: "/token"),
            .status(200, headers: [("Content-Type", "application/json")], body: Array("{\"token\":\"canary\"}".utf8)))
        for (remaining, verdict) in [("76;w=21600", Diagnosis.Verdict.ok), ("3;w=21600", .warning)] {
            proxy.scriptForever(
                RequestMatcher(suffix: "/manifests/latest"),
                .status(200, headers: [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", remaining)]))
            let found = try await Self.look(["one": "upstream: http://registry-1.docker.io\n    proxy: \(proxy.url)"])
            #expect(found.verdicts("upstreams.registry") == [verdict], "\(found.text)")
            #expect(found.text.contains("\(remaining.prefix { $0 != ";" }) of 100 pulls left in 6 hours"), "\(found.text)")
            #expect(!found.text.contains("canary"))
        }
        let token = try #require(proxy.requests(suffix: "/token").first)
        #expect(token.query("scope") == ["repository:ratelimitpreview/test:pull"])
        #expect(proxy.requests(contains: "/manifests/").allSatisfy { $0.method == "HEAD" })
    }

    @Test("credentials are sent nowhere else, and it is said where to")
    func withheld() async throws {
        let upstream = try ScriptedUpstream()
        let other = try ScriptedUpstream()
        upstream.scriptForever(
            .path("/v2/"), .status(401, headers: [("WWW-Authenticate", "Bearer realm=\"\(other.url)/token\",service=\"x\"")]))
        let found = try await Self.look([
            "one": "upstream: \(upstream.url)\n    credentials: { username: me, password: canary-password }"
        ])
        #expect(found.text.contains("authHosts: [\"127.0.0.1:\(other.port)\"] in repositories.one"), "\(found.text)")
        #expect(other.requests.isEmpty)
    }

    @Test(
        "answers that are none",
        arguments: [
            (404, "this is no registry's address"), (503, "answered 503"), (403, "refuses everybody who asks from here"),
            (429, "limits our requests (429); it may be asked again in 7 s"), (301, "redirects to https://there.example/"),
        ])
    func answers(_ status: Int, _ words: String) async throws {
        let upstream = try ScriptedUpstream()
        upstream.scriptForever(
            .path("/v2/"), .status(status, headers: [("Retry-After", "7"), ("Location", "https://there.example/")]))
        let found = try await Self.look(["one": "upstream: \(upstream.url)"])
        #expect(found.verdicts("upstreams.registry") != [.ok])
        #expect(found.text.contains(words), "\(found.text)")
    }

    @Test("a web page in a registry's place")
    func page() async throws {
        let upstream = try ScriptedUpstream()
        upstream.scriptForever(.path("/v2/"), .status(200, headers: [("Content-Type", "text/html")], body: Array("<html>".utf8)))
        #expect(try await Self.look(["one": "upstream: \(upstream.url)"]).text.contains("answers with a web page"))
    }

    @Test("a registry that is gone, one that is silent, and one without a name, each within the time")
    func gone() async throws {
        let gone = try ScriptedUpstream()
        gone.stop()
        let silent = try ScriptedUpstream()
        let gate = Gate()
        silent.scriptForever(.path("/v2/"), .stallBeforeHead(gate))
        let start = ContinuousClock.now
        let found = try await Self.look(
            [
                "gone": "upstream: \(gone.url)", "silent": "upstream: \(silent.url)",
                "unnamed": "upstream: http://no-such-host.invalid",
                "tls": "upstream: https://127.0.0.1:\(silent.port)",
            ], patience: .seconds(1))
        gate.open()
        #expect(start.duration(to: .now) < .seconds(10))
        #expect(found.verdicts("upstreams.registry") == [.problem, .problem, .problem, .problem])
        #expect(found.text.contains("connection: 127.0.0.1 port \(gone.port): connection refused (name: ok)"), "\(found.text)")
        #expect(found.text.contains("answer: 127.0.0.1:\(silent.port) sent no response in time (name, connection: ok)"))
        #expect(found.text.contains("no-such-host.invalid"))
        #expect(found.text.contains("TLS: 127.0.0.1:\(silent.port) shows no certificate"))
    }

    @Test("a mirror that is gone is a warning while the registry is there")
    func mirror() async throws {
        let gone = try ScriptedUpstream()
        gone.stop()
        let upstream = try ScriptedUpstream()
        let found = try await Self.look(["one": "upstream: \(upstream.url)\n    mirrors: [\"\(gone.url)\"]"])
        #expect(found.verdicts("upstreams.registry", of: "one") == [.warning, .ok])
        #expect(found[0].finding.hasPrefix("mirror \(gone.url): connection"))
    }

    @Test("with everything far out of reach the network is named once")
    func network() async throws {
        let found = try await Self.look(
            ["a": "upstream: https://a.invalid", "b": "upstream: https://b.invalid"], patience: .seconds(1))
        #expect(found.verdicts("upstreams.network") == [.problem])
        #expect(found.verdicts("upstreams.registry") == [.note, .note])
        #expect(found.text.contains("no name is resolved") || found.text.contains("nobody answers"))
    }

    @Test("a registry with an address that answers is not among those that cannot be reached")
    func near() async throws {
        let upstream = try ScriptedUpstream()
        let found = try await Self.look(
            [
                "a": "upstream: https://a.invalid", "b": "upstream: https://b.invalid", "c": "upstream: \(upstream.url)",
            ], patience: .seconds(1))
        #expect(found.text.contains("none of 2 registries that have a name can be reached"), "\(found.text)")
        #expect(found.verdicts("upstreams.registry", of: "c") == [.ok])
    }
}
