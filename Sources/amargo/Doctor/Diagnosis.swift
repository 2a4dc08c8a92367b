import OCI

/// What one check has found, and what is to be done about it.
struct Diagnosis: Equatable, Sendable {
    enum Verdict: String, Comparable, CaseIterable, Sendable {
        case ok, note, warning, problem

        static func < (left: Verdict, right: Verdict) -> Bool { left.rank < right.rank }

        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    /// Stable, for scripts: `store.free-space`. What stands before the dot is the group.
    let id: String
    /// What it is about, where a check looks at several things: a registry, an address.
    let subject: String?
    var verdict: Verdict
    /// One line.
    var finding: String
    /// Cause and what to do, a line each; empty when all is well.
    var advice: [String]

    init(_ id: String, of subject: String? = nil, _ verdict: Verdict, _ finding: String, _ advice: String...) {
        self.id = id
        self.subject = subject
        self.verdict = verdict
        self.finding = finding
        self.advice = advice
    }

    var group: String { String(self.id.prefix { $0 != "." }) }

    /// The id without its group.
    var name: String { String(self.id.drop { $0 != "." }.dropFirst()) }

    /// One line, without its end.
    var json: String {
        let subject = self.subject.map(JSONText.quoted) ?? "null"
        return """
            {"id":\(JSONText.quoted(self.id)),"subject":\(subject),"verdict":"\(self.verdict.rawValue)",\
            "finding":\(JSONText.quoted(self.finding)),"advice":[\(self.advice.map(JSONText.quoted).joined(separator: ","))]}
            """
    }
}

extension Sequence<Diagnosis> {
    /// 0 all is well but for notes, 1 warnings, 2 problems.
    var exitCode: Int32 {
        switch self.map(\.verdict).max() ?? .ok {
        case .ok, .note: 0
        case .warning: 1
        case .problem: 2
        }
    }
}

/// Texts from outside, before they come to a terminal.
extension String {
    /// Without control characters, and not for ever long.
    var harmless: String {
        String(self.unicodeScalars.prefix(400).map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? " " : Character($0) })
    }
}
