import TestSupport
import Testing

/// What `/metrics` has said, sample by sample.
struct MetricsSamples {
    let text: String
    /// By name and labels as they are written.
    let values: [String: Double]
    /// In the order in which they were said.
    let families: [String]

    init(_ text: String) throws {
        self.text = text
        var values: [String: Double] = [:]
        var families: [String] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") { families.append(String(line.split(separator: " ")[2])) }
            if line.hasPrefix("#") { continue }
            let space = try #require(line.lastIndex(of: " "))
            let name = String(line[..<space])
            #expect(values[name] == nil, "\(name) stands there twice")
            let value: Double = try #require(Double(String(line[line.index(after: space)...])), "\(line)")
            values[name] = value
        }
        self.values = values
        self.families = families
    }

    subscript(name: String) -> Double? { self.values[name] }

    /// What has risen since an earlier scrape, of all samples whose names begin with one of these.
    func rise(since before: MetricsSamples, of prefixes: String...) -> [String: Double] {
        var rise: [String: Double] = [:]
        for (name, value) in self.values where prefixes.contains(where: name.hasPrefix) {
            let difference = value - (before[name] ?? .nan)
            if difference != 0 { rise[name] = difference }
        }
        return rise
    }
}

extension ServerHarness {
    func metrics() async throws -> MetricsSamples {
        let response = try await self.get("/metrics")
        #expect(response.status == 200)
        #expect(response.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
        return try MetricsSamples(response.text)
    }

    /// Asks until a sample has this value.
    func waitForMetric(_ name: String, _ value: Double) async throws {
        try await eventually("\(name) is \(value)") { try await self.metrics()[name] == value }
    }
}
