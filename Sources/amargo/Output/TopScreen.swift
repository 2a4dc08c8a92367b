import OCI
import PullThrough
import Registry

/// What `amargo top` shows: made of two looks at a server, so that it can say how fast things go.
struct TopScreen {
    private let now: Look
    private let before: Look?
    private let hour: StatisticsPrinter

    /// What the server said at one moment.
    struct Look {
        let events: [AdminEvent]
        /// Of the server's own clock, since it began.
        let milliseconds: Int64

        init(_ events: [AdminEvent]) {
            self.events = events
            self.milliseconds = events.first { $0.kind == "server" }?.number("milliseconds") ?? 0
        }

        func all(_ kind: String) -> [AdminEvent] { self.events.filter { $0.kind == kind } }

        /// Since the server began.
        var flow: TrafficCounts { self.all("flow").reduce(into: TrafficCounts()) { $0 += $1.counts } }
    }

    /// - Parameters:
    ///   - before: an earlier look at the same server; nil at the first.
    ///   - statistics: of the last hour.
    init(_ now: Look, before: Look?, statistics: [AdminEvent]) {
        self.now = now
        // A server that has begun anew has nothing to do with the one before.
        self.before = before.flatMap { $0.milliseconds < now.milliseconds ? $0 : nil }
        self.hour = StatisticsPrinter(statistics)
    }

    /// - Parameter bars: the signs of a bar, full and empty.
    func lines(bars: (full: String, empty: String)) -> [String] {
        self.head + self.flows + self.downloads(bars) + self.upstreams + self.repositories + self.pulls
    }

    // MARK: - Head

    private var head: [String] {
        guard let server = self.now.all("server").first else { return [] }
        let reason = server.text("reason") ?? ""
        let cap = server.number("maxSize")
        let bytes = server.number("bytes")
        var store = "store  \(Quantity.describe(bytes: bytes))"
        if cap > 0 { store += " of \(Quantity.describe(bytes: cap)) (\(bytes * 100 / cap) %)" }
        return [
            "amargo \(server.text("version") ?? "")  up \(Self.duration(self.now.milliseconds / 1000))  \(reason.isEmpty ? "ok" : "DEGRADED: \(reason)")",
            "\(store), \(server.number("blobs")) blobs, \(server.text("path") ?? "")",
        ]
    }

    private var flows: [String] {
        let hour = self.hour.total(in: .hour)
        var lines: [String] = []
        if let before = self.before, let seconds = self.seconds {
            let news = self.now.flow - before.flow
            let answers = Double(news.answers) / seconds
            lines.append(
                "now    \(Self.rate(answers)) answers/s, hits \(StatisticsPrinter.percent(news.hitRatio)), "
                    + "out \(Self.speed(news[.bytesServed], seconds)), in \(Self.speed(news[.bytesFetched], seconds))")
        } else {
            lines.append("now    a moment…")
        }
        lines.append(
            "hour   \(hour[.pulls]) pulls, hits \(StatisticsPrinter.percent(hour.hitRatio)), served \(Quantity.describe(bytes: hour[.bytesServed])), "
                + "fetched \(Quantity.describe(bytes: hour[.bytesFetched])), saved \(Quantity.describe(bytes: hour.bytesSaved))")
        return lines
    }

    private var seconds: Double? {
        self.before.map { Double(self.now.milliseconds - $0.milliseconds) / 1000 }
    }

    // MARK: - Downloads

    private func downloads(_ bars: (full: String, empty: String)) -> [String] {
        let downloads = self.now.all("download")
        guard !downloads.isEmpty else { return ["", "No downloads"] }
        var earlier: [String: Int64] = [:]
        for download in self.before?.all("download") ?? [] { earlier[Self.key(download)] = download.number("received") }
        var table = TextTable([
            ("DOWNLOAD", .left), ("BLOB", .left), ("", .left), ("", .right), ("RECEIVED", .right), ("SIZE", .right),
            ("SPEED", .right),
            ("LEFT", .right), ("CLIENTS", .right),
        ])
        for download in downloads {
            let (received, size) = (download.number("received"), download.number("size"))
            let speed = earlier[Self.key(download)].flatMap { old in self.seconds.map { Double(max(0, received - old)) / $0 } }
            let share = size > 0 ? Double(received) / Double(size) : nil
            let left = speed.flatMap { $0 > 0 && size >= received ? Int64(Double(size - received) / $0) : nil }
            table.add([
                "\(download.text("repository") ?? "")", String((download.text("digest") ?? "").dropFirst(7).prefix(12)),
                share.map { Self.bar($0, 16, bars) } ?? "", share.map { "\(Int($0 * 100)) %" } ?? "",
                Quantity.describe(bytes: received), size > 0 ? Quantity.describe(bytes: size) : "?",
                speed.map { "\(Quantity.describe(bytes: Int64($0)))/s" } ?? "-", left.map { Self.duration($0) } ?? "-",
                "\(download.number("clients"))",
            ])
        }
        return [""] + table.lines
    }

    private static func key(_ download: AdminEvent) -> String {
        "\(download.text("digest") ?? "") \(download.text("upstream") ?? "") \(download.text("repository") ?? "")"
    }

    private static func bar(_ share: Double, _ width: Int, _ bars: (full: String, empty: String)) -> String {
        let full = min(width, max(0, Int((share * Double(width)).rounded(.down))))
        return String(repeating: bars.full, count: full) + String(repeating: bars.empty, count: width - full)
    }

    // MARK: - The rest

    private var upstreams: [String] {
        var table = TextTable([("REGISTRY", .left), ("STATE", .left), ("PULLS LEFT", .right), ("LAST ERROR", .left)])
        let asked = self.now.all("upstream").filter { $0.text("state") != "unknown" }
        guard !asked.isEmpty else { return [] }
        for upstream in asked {
            let (remaining, limit) = (upstream.number("rateLimitRemaining"), upstream.number("rateLimit"))
            let left = remaining < 0 ? "-" : limit < 0 ? "\(remaining)" : "\(remaining) of \(limit)"
            table.add([upstream.text("name") ?? "", upstream.text("state") ?? "", left, upstream.text("lastError") ?? ""])
        }
        return [""] + table.lines
    }

    private var repositories: [String] {
        let rows = self.hour.busiest(in: .hour, limit: 8)
        guard !rows.isEmpty else { return [] }
        var table = TextTable([
            ("REPOSITORY, LAST HOUR", .left), ("PULLS", .right), ("RATIO", .right), ("SERVED", .right), ("FETCHED", .right),
        ])
        for row in rows {
            table.add([
                row.name, "\(row.counts[.pulls])", StatisticsPrinter.percent(row.counts.hitRatio),
                Quantity.describe(bytes: row.counts[.bytesServed]), Quantity.describe(bytes: row.counts[.bytesFetched]),
            ])
        }
        return [""] + table.lines
    }

    private var pulls: [String] {
        let pulls = self.now.all("pull")
        guard !pulls.isEmpty else { return [] }
        var table = TextTable([("LAST PULLS", .left), ("IMAGE", .left), ("", .left)])
        for pull in pulls.prefix(5) {
            let reference = pull.text("reference") ?? ""
            let name = "\(pull.text("repository") ?? "")\(reference.contains(":") ? "@" : ":")\(reference.prefix(26))"
            table.add([Quantity.date(pull.number("at")), name, pull.text("outcome") ?? ""])
        }
        return [""] + table.lines
    }

    // MARK: - Words

    private static func speed(_ bytes: Int64, _ seconds: Double) -> String {
        "\(Quantity.describe(bytes: Int64(Double(max(0, bytes)) / seconds)))/s"
    }

    private static func rate(_ number: Double) -> String {
        number >= 10 || number == 0 ? "\(Int(number.rounded()))" : "\((number * 10).rounded() / 10)"
    }

    /// `3 d 4 h`, `12 min`, `8 s`.
    static func duration(_ seconds: Int64) -> String {
        switch seconds {
        case 86_400...: "\(seconds / 86_400) d \(seconds % 86_400 / 3_600) h"
        case 3_600...: "\(seconds / 3_600) h \(seconds % 3_600 / 60) min"
        case 60...: "\(seconds / 60) min \(seconds % 60) s"
        default: "\(seconds) s"
        }
    }
}
