import OCI

/// `statistics.json`: the ledger's state as text.
///
/// `{"amargo":"statistics","format":1,"since":S,"counts":["pulls",…],"fine":SERIES,"series":[SERIES,…]}` where SERIES is
/// `{"upstream":"docker","repository":"docker.io/library/nginx","total":[…],"at":S,"buckets":[[WIDTH,START,N…],…]}`; without
/// `repository` it is what has no series of its own. Counts are in the order of `counts`.
enum TrafficFile {
    /// Bytes. A thousand repositories with traffic in every bucket have 6 MB.
    static let limit = 32 << 20

    static func encode(_ state: TrafficLedger.State) -> [UInt8] {
        var text = "{\"amargo\":\"statistics\",\"format\":1,\"since\":\(state.since),\"counts\":["
        text += TrafficCount.allCases.map { "\"\($0.name)\"" }.joined(separator: ",")
        text += "],\"fine\":{" + Self.members(state.fine) + "},\"series\":["
        var isFirst = true
        for (scope, series) in state.series {
            guard let upstream = scope.upstream else { continue }
            text += isFirst ? "\n{" : ",\n{"
            isFirst = false
            text += "\"upstream\":\(JSONText.quoted(upstream)),"
            if let repository = scope.repository { text += "\"repository\":\(JSONText.quoted(repository.description))," }
            text += Self.members(series) + "}"
        }
        text += "\n]}\n"
        return Array(text.utf8)
    }

    private static func members(_ series: TrafficSeries) -> String {
        var text = "\"total\":[\(Self.list(series.total))],\"at\":\(series.lastChange),\"buckets\":["
        var isFirst = true
        for (tier, buckets) in zip(series.tiers, series.buckets) {
            for bucket in buckets {
                if !isFirst { text += "," }
                isFirst = false
                text += "[\(tier.width),\(bucket.start),\(Self.list(bucket.counts))]"
            }
        }
        return text + "]"
    }

    private static func list(_ counts: TrafficCounts) -> String {
        TrafficCount.allCases.map { String(counts[$0]) }.joined(separator: ",")
    }

    /// - Throws: `JSONError` for what is no such document, or is one of a later version.
    static func decode(_ bytes: [UInt8]) throws -> TrafficLedger.State {
        var state = TrafficLedger.State()
        var format: Int64?
        try bytes.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    switch key {
                    case "format": format = try reader.integer()
                    case "since": state.since = max(0, try reader.integer())
                    case "fine": state.fine = try Self.series(&reader, TrafficSeries.Tier.fine).series
                    case "series":
                        try reader.array { reader in
                            let (scope, series) = try Self.series(&reader, TrafficSeries.Tier.plain)
                            // What a later version names otherwise is left out.
                            if let scope, state.series.count < 2 * TrafficLedger.repositoryLimit { state.series[scope] = series }
                        }
                    default: try reader.skipValue()
                    }
                }
            }
        }
        guard format == 1 else { throw JSONError("is not in format 1", at: 0) }
        return state
    }

    private static func series(
        _ reader: inout JSONReader, _ tiers: [TrafficSeries.Tier]
    ) throws -> (scope: TrafficLedger.Scope?, series: TrafficSeries) {
        var upstream: String?
        var repository: String?
        var total = TrafficCounts()
        var at: Int64 = 0
        var buckets: [Int64: [TrafficSeries.Bucket]] = [:]
        try reader.object { reader, key in
            switch key {
            case "upstream": upstream = try reader.string()
            case "repository": repository = try reader.string()
            case "at": at = try reader.integer()
            case "total": total = try Self.counts(&reader, after: 0).counts
            case "buckets":
                try reader.array { reader in
                    let (numbers, counts) = try Self.counts(&reader, after: 2)
                    if numbers.count == 2 { buckets[numbers[0], default: []].append(.init(start: numbers[1], counts: counts)) }
                }
            default: try reader.skipValue()
            }
        }
        let series = TrafficSeries(tiers, total: total, lastChange: at, buckets: buckets)
        guard let upstream else { return (nil, series) }
        guard let repository else { return (.init(upstream: upstream, isOthers: true), series) }
        guard let name = try? QualifiedRepository(parsing: repository) else { return (nil, series) }  // left out, as said above
        return (.init(upstream: upstream, repository: name), series)
    }

    /// A list of so many numbers and the counts behind them; negative counts, which nobody has counted, are 0.
    private static func counts(
        _ reader: inout JSONReader, after leading: Int
    ) throws -> (numbers: [Int64], counts: TrafficCounts) {
        var numbers: [Int64] = []
        var counts = TrafficCounts()
        var index = 0
        try reader.array { reader in
            let number = try reader.integer()
            if index < leading {
                numbers.append(number)
            } else if let count = TrafficCount(rawValue: index - leading) {
                counts[count] = max(0, number)
            }
            index += 1
        }
        return (numbers, counts)
    }
}
