import NIOCore
import OCI

/// Text in Prometheus' exposition format: families in the order in which they are begun.
///
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format", version 0.0.4.
struct MetricsText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    enum Kind: String {
        case counter, gauge, histogram
    }

    typealias Labels = KeyValuePairs<String, String>

    private(set) var buffer = ByteBuffer()
    /// The family that samples belong to.
    private var name = ""

    /// Begins a family; what is added from here on are its samples.
    mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        self.buffer.writeString("# HELP \(name) \(Self.escaped(help, quote: false))\n# TYPE \(name) \(kind.rawValue)\n")
    }

    /// Writes a family of one sample, or of none.
    mutating func gauge(_ name: String, _ help: String, _ value: Double?) {
        self.begin(name, .gauge, help)
        if let value { self.add(value) }
    }

    /// Writes a family of one sample.
    mutating func counter(_ name: String, _ help: String, _ value: Int64) {
        self.begin(name, .counter, help)
        self.add(value)
    }

    mutating func add(_ value: Int64, _ labels: Labels = [:]) { self.sample("", labels, nil, String(value)) }

    mutating func add(_ value: Double, _ labels: Labels = [:]) { self.sample("", labels, nil, Self.number(value)) }

    /// Adds a histogram's classes, each with all values up to its bound, and its sum in seconds.
    mutating func add(_ histogram: Histogram.Snapshot, _ labels: Labels = [:]) {
        var count: Int64 = 0
        for (index, classCount) in histogram.counts.enumerated() {
            count += classCount
            let bound = index < histogram.bounds.count ? Self.number(histogram.bounds[index].secondsNumber) : "+Inf"
            self.sample("_bucket", labels, bound, String(count))
        }
        self.sample("_sum", labels, nil, Self.number(histogram.sum.secondsNumber))
        self.sample("_count", labels, nil, String(count))
    }

    private mutating func sample(_ suffix: String, _ labels: Labels, _ bound: String?, _ value: String) {
        self.buffer.writeString(self.name)
        self.buffer.writeString(suffix)
        var separator = "{"
        for (name, value) in labels {
            self.buffer.writeString("\(separator)\(name)=\"\(Self.escaped(value, quote: true))\"")
            separator = ","
        }
        if let bound {
            self.buffer.writeString("\(separator)le=\"\(bound)\"")
            separator = ","
        }
        self.buffer.writeString(separator == "{" ? " \(value)\n" : "} \(value)\n")
    }

    /// A label's value has three characters that stand for something else, a help text two.
    private static func escaped(_ text: String, quote: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 && quote }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quote: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? "\(value)"
    }
}
