import OCI

/// What a verification says while it runs; each is also one line of JSON, for another process or a program.
package enum VerificationEvent: Hashable, Sendable {
    case finding(Finding, Resolution)
    case progress(Progress)
    case end(VerificationOutcome)

    package struct Progress: Hashable, Sendable {
        package var blobs: Int64 = 0
        package var bytes: Int64 = 0
        /// Bytes that are to be hashed in all.
        package var totalBytes: Int64 = 0
        package var milliseconds: Int64 = 0

        package init() {}
    }
}

/// What a verification came to.
package struct VerificationOutcome: Hashable, Sendable {
    package enum Verdict: String, Sendable {
        case clean
        /// Everything that was found was mended.
        case repaired
        case findingsLeft = "findings-left"
    }

    /// Blobs that were looked at.
    package var blobs: Int64 = 0
    /// Blobs and bytes that were hashed.
    package var hashedBlobs: Int64 = 0
    package var hashedBytes: Int64 = 0
    package var milliseconds: Int64 = 0
    package var repaired: Int64 = 0
    package var left: Int64 = 0
    package var notes: Int64 = 0
    /// Blobs that were taken in because the journal that knew them is gone.
    package var adopted: Int64 = 0
    /// False when it was ended before it had looked at everything.
    package var isComplete = true

    package init() {}

    package var verdict: Verdict { self.left > 0 ? .findingsLeft : self.repaired > 0 ? .repaired : .clean }
}

extension VerificationEvent {
    /// Without a line break.
    package var json: String {
        switch self {
        case .finding(let finding, let resolution):
            let (state, reason): (String, String?) =
                switch resolution {
                case .found: ("found", nil)
                case .repaired: ("repaired", nil)
                case .left(let reason): ("left", reason)
                }
            return "{\"event\":\"finding\",\"kind\":\"\(finding.kind.rawValue)\",\"subject\":\(JSONText.quoted(finding.subject)),"
                + "\"sentence\":\(JSONText.quoted(finding.sentence)),\"remedy\":\(JSONText.quoted(finding.remedy)),"
                + "\"weight\":\"\(finding.weight.rawValue)\",\"state\":\"\(state)\""
                + (reason.map { ",\"reason\":\(JSONText.quoted($0))" } ?? "") + "}"
        case .progress(let progress):
            return "{\"event\":\"progress\",\"blobs\":\(progress.blobs),\"bytes\":\(progress.bytes),"
                + "\"totalBytes\":\(progress.totalBytes),\"milliseconds\":\(progress.milliseconds)}"
        case .end(let outcome):
            return "{\"event\":\"end\",\"verdict\":\"\(outcome.verdict.rawValue)\",\"blobs\":\(outcome.blobs),"
                + "\"hashedBlobs\":\(outcome.hashedBlobs),\"hashedBytes\":\(outcome.hashedBytes),"
                + "\"milliseconds\":\(outcome.milliseconds),\"repaired\":\(outcome.repaired),\"left\":\(outcome.left),"
                + "\"notes\":\(outcome.notes),\"adopted\":\(outcome.adopted),\"complete\":\(outcome.isComplete)}"
        }
    }

    /// Reads a line that `json` wrote, perhaps in a later version: unknown members are passed over.
    package init(json: [UInt8]) throws {
        var texts: [String: String] = [:]
        var numbers: [String: Int64] = [:]
        var isComplete = true
        try json.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    switch try reader.peek() {
                    case .string: texts[key] = try reader.string()
                    case .number: numbers[key] = try reader.integer()
                    case .boolean:
                        let value = try reader.boolean()
                        if key == "complete" { isComplete = value }
                    default: try reader.skipValue()
                    }
                }
            }
        }
        func text(_ key: String) throws -> String { try texts[key].orMalformed(key) }
        func number(_ key: String) throws -> Int64 { try numbers[key].orMalformed(key) }
        switch try text("event") {
        case "finding":
            let kind = try Finding.Kind(rawValue: text("kind")).orMalformed("kind")
            let weight = try Finding.Weight(rawValue: text("weight")).orMalformed("weight")
            let finding = Finding(
                kind, try text("subject"), try text("sentence"), remedy: try text("remedy"), weight: weight)
            switch try text("state") {
            case "found": self = .finding(finding, .found)
            case "repaired": self = .finding(finding, .repaired)
            case "left": self = .finding(finding, .left(try text("reason")))
            default: throw MalformedLine(what: "state")
            }
        case "progress":
            var progress = Progress()
            progress.blobs = try number("blobs")
            progress.bytes = try number("bytes")
            progress.totalBytes = try number("totalBytes")
            progress.milliseconds = try number("milliseconds")
            self = .progress(progress)
        case "end":
            var outcome = VerificationOutcome()
            outcome.blobs = try number("blobs")
            outcome.hashedBlobs = try number("hashedBlobs")
            outcome.hashedBytes = try number("hashedBytes")
            outcome.milliseconds = try number("milliseconds")
            outcome.repaired = try number("repaired")
            outcome.left = try number("left")
            outcome.notes = try number("notes")
            outcome.adopted = try number("adopted")
            outcome.isComplete = isComplete
            self = .end(outcome)
        default: throw MalformedLine(what: "event")
        }
    }
}
