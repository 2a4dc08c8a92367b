import Foundation
import Testing

import struct TestSupport.Behaviour
import class TestSupport.ScriptedUpstream

extension SystemTests {
    /// What monitoring is given: the rules and the dashboard in `etc/`, tried with Debian's Prometheus.
    @Suite("Metrics")
    struct MetricsTests {
        private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("etc")
        private static let rules = Self.folder.appendingPathComponent("prometheus/amargo-alerts.yml")

        @Test(
            "promtool takes the rules, and finds that each fires when it should and not before",
            arguments: [
                ["check", "rules", "amargo-alerts.yml"], ["check", "config", "prometheus.yml"],
                ["test", "rules", "amargo-alerts.test.yml"], ["test", "rules", "amargo-alerts-slow.test.yml"],
            ])
        func promtool(_ arguments: [String]) async throws {
            let file = Self.folder.appendingPathComponent("prometheus").appendingPathComponent(arguments[2]).path
            let result = try await Command(.promtool, [arguments[0], arguments[1], file]).outcome()
            #expect(result.succeeded, "\(result.errorText)\n\(result.text)")
            #expect(result.text.contains("SUCCESS"), "\(result.text)")
        }

        @Test("every alert has a test, a severity, and words on what it means and what to do")
        func alerts() async throws {
            let text = try String(contentsOf: Self.rules, encoding: .utf8)
            let tests = try ["", "-slow"].map { name in
                try String(
                    contentsOf: Self.folder.appendingPathComponent("prometheus/amargo-alerts\(name).test.yml"), encoding: .utf8)
            }.joined()
            let parts = text.components(separatedBy: "- alert: ").dropFirst()
            #expect(parts.count >= 20)
            for part in parts {
                let name = String(part.prefix { !$0.isWhitespace })
                #expect(tests.contains("alertname=\"\(name)\""), "\(name)")
                #expect(part.firstMatch(of: /severity: (critical|warning|info)\n/) != nil, "\(name)")
                #expect(part.contains("summary: ") && part.contains("description: >-"), "\(name)")
            }
        }

        @Test("every query of the dashboard and of the alerts is answered by a Prometheus that scrapes Amargo")
        func queries() async throws {
            try await Lab.run { lab in
                let upstream = try ScriptedUpstream()
                upstream.scriptForever(
                    .any,
                    Behaviour.header("ratelimit-limit", "100;w=21600").and(.header("ratelimit-remaining", "60;w=21600")))
                let image = upstream.addImage(repository: "library/nginx")
                var settings = try lab.settings(upstream: upstream.url)
                // With caps there is something to say of them.
                settings.storeLines = ["maxSize: 1GB"]
                settings.extraLines = ["cache:", "  repositories:", "    docker:", "      maxSize: 500MB"]
                let amargo = try await lab.amargo(settings)
                let prometheus = try Prometheus(scraping: amargo, rules: Self.rules, in: lab.newFolder("prometheus"))
                try await lab.start(prometheus.daemon) { try await prometheus.isReady() }
                // From a first scrape on, so that what follows is a rise.
                try await eventually("a first scrape") { try await !prometheus.query("amargo_requests_total").isEmpty }

                let paths = [image.manifestPath] + image.blobs.map { image.blobPath($0.digest) }
                for path in paths + paths { #expect(try await Curl.get(amargo.url + path).status == 200) }
                #expect(try await Curl.get("\(amargo.url)/v2/library/nginx/manifests/none").status == 404)
                for expression in [
                    "sum(amargo_requests_total) == \(2 * paths.count + 1)", "sum(increase(amargo_requests_total[1m])) > 0",
                    "count_over_time(amargo_upstream_rate_limit[1m]) > 1",
                ] {
                    try await eventually("the traffic is scraped: \(expression)") {
                        try await prometheus.query(expression).count == 1
                    }
                }
                let misses = try await prometheus.query(#"amargo_requests_total{outcome="miss"}"#)
                #expect(misses.reduce(0) { $0 + $1.value } == Double(paths.count))
                #expect(Set(misses.compactMap { $0.labels["upstream"] }).contains("docker"))

                try await Self.judgeDashboard(prometheus)
                try await Self.judgeRules(prometheus)

                // The registry goes, then Amargo: both are noticed.
                upstream.stop()
                #expect(try await Curl.get("\(amargo.url)/v2/library/nginx/manifests/other").status == 502)
                try await Self.waitForAlert("AmargoUpstreamDown", prometheus)
                #expect(await amargo.terminate() == .code(0))
                try await Self.waitForAlert("AmargoDown", prometheus)
            }
        }

        private static func waitForAlert(_ name: String, _ prometheus: Prometheus) async throws {
            try await eventually("\(name) is pending") {
                try await prometheus.rules().contains { $0.name == name && $0.state != "inactive" }
            }
        }

        /// Each query of each panel has series, and none is broken.
        private static func judgeDashboard(_ prometheus: Prometheus) async throws {
            let file = Self.folder.appendingPathComponent("grafana/amargo-dashboard.json")
            let document = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
            let panels = try #require(document["panels"] as? [[String: Any]])
            var count = 0
            for panel in panels where panel["type"] as? String != "row" {
                let title = panel["title"] as? String ?? ""
                let targets = try #require(panel["targets"] as? [[String: Any]], "\(title)")
                for target in targets {
                    let expression = Self.filled(try #require(target["expr"] as? String, "\(title)"))
                    #expect(try await !prometheus.query(expression).isEmpty, "\(title): \(expression) has no series")
                    count += 1
                }
            }
            #expect(count > 50)
            let templating = try #require(document["templating"] as? [String: Any])
            let variables = try #require(templating["list"] as? [[String: Any]])
            #expect(variables.map { $0["name"] as? String } == ["datasource", "instance", "upstream"])
            for variable in variables.dropFirst() {
                let definition = Self.filled(try #require(variable["definition"] as? String))
                let match = try #require(definition.wholeMatch(of: /label_values\((.+), ([a-z]+)\)/))
                #expect(try await !prometheus.query("count by (\(match.2)) (\(match.1))").isEmpty, "\(definition)")
            }
            let annotations = try #require((document["annotations"] as? [String: Any])?["list"] as? [[String: Any]])
            // Empty as long as nothing was restarted; an error would be thrown.
            for annotation in annotations { _ = try await prometheus.query(Self.filled(annotation["expr"] as? String ?? "")) }
        }

        /// As Grafana fills in what everything is chosen of.
        private static func filled(_ expression: String) -> String {
            var text = expression
            for (name, value) in [("$__rate_interval", "1m"), ("$__range", "1h"), ("$instance", ".*"), ("$upstream", ".*")] {
                text = text.replacingOccurrences(of: name, with: value)
            }
            return text
        }

        /// All rules are evaluated, all is well, and they ask for nothing that is not there.
        private static func judgeRules(_ prometheus: Prometheus) async throws {
            try await eventually("all rules have been evaluated") {
                let rules = try await prometheus.rules()
                return rules.count >= 20 && rules.allSatisfy { $0.health != "unknown" }
            }
            for rule in try await prometheus.rules() {
                #expect(rule.health == "ok" && rule.error.isEmpty, "\(rule)")
                // Pending and firing is only what this machine's disk may be.
                #expect(rule.state == "inactive" || rule.name.hasPrefix("AmargoDisk"), "\(rule)")
                _ = try await prometheus.query(rule.query)
                for match in rule.query.matches(of: /\b((?:amargo|process)_[a-z_]+)/) {
                    #expect(try await !prometheus.query("count(\(match.1))").isEmpty, "\(rule.name): there is no \(match.1)")
                }
            }
        }
    }
}
