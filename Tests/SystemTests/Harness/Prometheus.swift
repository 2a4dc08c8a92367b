import Foundation

/// Debian's Prometheus, scraping one Amargo each second, with the alert rules that come with it.
struct Prometheus: Sendable {
    let url: String
    let daemon: Daemon

    init(scraping amargo: AmargoProcess, rules: URL, in folder: URL) throws {
        let port = try LoopbackPort.free()
        self.url = "http://127.0.0.1:\(port)"
        let configuration = """
            global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
            rule_files: ["\(rules.path)"]
            scrape_configs:
              - job_name: amargo
                static_configs: [{targets: ["127.0.0.1:\(amargo.settings.port)"]}]
            """
        let file = folder.appendingPathComponent("prometheus.yml")
        try Data(configuration.utf8).write(to: file)
        self.daemon = Daemon(
            "prometheus", try Program.prometheus.url(),
            [
                "--config.file=\(file.path)", "--storage.tsdb.path=\(folder.path)/data", "--web.listen-address=127.0.0.1:\(port)",
                "--log.level=warn",
            ],
            log: folder.appendingPathComponent("prometheus.log"))
    }

    func isReady() async throws -> Bool { (try? await Curl.get("\(self.url)/-/ready"))?.status == 200 }

    /// What an expression is at this moment: each series' labels and value.
    func query(_ expression: String) async throws -> [(labels: [String: String], value: Double)] {
        let data = try await self.get("query?query=\(Self.encoded(expression))", what: expression)
        switch (data["resultType"] as? String, data["result"]) {
        case ("vector", let series as [[String: Any]]):
            return try series.map { series in
                (series["metric"] as? [String: String] ?? [:], try Self.value(series["value"], expression))
            }
        case ("scalar", let value): return [([:], try Self.value(value, expression))]
        default: throw ConditionFailure(description: "neither a vector nor a scalar: \(expression)")
        }
    }

    struct Rule: Sendable {
        let name: String
        let query: String
        let health: String
        let error: String
        /// `inactive`, `pending` or `firing`.
        let state: String
    }

    func rules() async throws -> [Rule] {
        let data = try await self.get("rules", what: "rules")
        let groups = data["groups"] as? [[String: Any]] ?? []
        return groups.flatMap { $0["rules"] as? [[String: Any]] ?? [] }.map { rule in
            func text(_ key: String) -> String { rule[key] as? String ?? "" }
            return Rule(
                name: text("name"), query: text("query"), health: text("health"), error: text("lastError"), state: text("state"))
        }
    }

    /// The data of an answer that is no error.
    private func get(_ path: String, what: String) async throws -> [String: Any] {
        let response = try await Curl.get("\(self.url)/api/v1/\(path)")
        let document = try JSONSerialization.jsonObject(with: response.body) as? [String: Any]
        guard response.status == 200, document?["status"] as? String == "success", let data = document?["data"] as? [String: Any]
        else { throw ConditionFailure(description: "\(what): \(String(decoding: response.body, as: UTF8.self))") }
        return data
    }

    private static func value(_ pair: Any?, _ expression: String) throws -> Double {
        guard let text = (pair as? [Any])?.last as? String, let value = Double(text) else {
            throw ConditionFailure(description: "no value: \(expression)")
        }
        return value
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
