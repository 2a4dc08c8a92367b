import Glibc

/// Diagnoses for people: grouped, one line each, with what to do below.
struct DoctorPrinter {
    let hasColour: Bool

    /// Colour is for terminals, and for those who did not say that they want none: https://no-color.org.
    static func wantsColour(_ environment: [String: String]) -> Bool {
        isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    func text(_ diagnoses: [Diagnosis]) -> String {
        var lines: [String] = []
        var group: String?
        let width = diagnoses.map { Self.title($0).count }.max() ?? 0
        for diagnosis in Self.grouped(diagnoses) {
            if diagnosis.group != group {
                if group != nil { lines.append("") }
                lines.append(self.styled("1", diagnosis.group))
                group = diagnosis.group
            }
            let word = diagnosis.verdict.rawValue
            let verdict = self.styled(Self.colour(diagnosis.verdict), word) + Self.spaces(7 - word.count)
            let title = Self.title(diagnosis)
            lines.append("  \(verdict)  \(title)\(Self.spaces(width - title.count))  \(Self.finding(diagnosis))")
            lines += diagnosis.advice.map { "\(Self.spaces(11))→ \($0)" }
        }
        lines.append("")
        lines.append(Self.summary(diagnoses))
        return lines.joined(separator: "\n") + "\n"
    }

    private static func title(_ diagnosis: Diagnosis) -> String {
        // What a registry or an engine is called says more than that it is one; a path is too long for a title.
        switch (diagnosis.name, diagnosis.subject) {
        case ("registry", let subject?), ("engine", let subject?): subject
        case (let name, let subject?) where !subject.hasPrefix("/"): "\(name) \(subject)"
        case (let name, _): name
        }
    }

    private static func finding(_ diagnosis: Diagnosis) -> String {
        guard let subject = diagnosis.subject, subject.hasPrefix("/") else { return diagnosis.finding }
        return "\(subject) \(diagnosis.finding)"
    }

    /// Groups in the order in which they first come.
    private static func grouped(_ diagnoses: [Diagnosis]) -> [Diagnosis] {
        var order: [String] = []
        for diagnosis in diagnoses where !order.contains(diagnosis.group) { order.append(diagnosis.group) }
        return order.flatMap { group in diagnoses.filter { $0.group == group } }
    }

    static func summary(_ diagnoses: [Diagnosis]) -> String {
        func count(_ verdict: Diagnosis.Verdict) -> Int { diagnoses.count { $0.verdict == verdict } }
        func words(_ verdict: Diagnosis.Verdict) -> String? {
            let number = count(verdict)
            return number == 0 ? nil : "\(number) \(verdict.rawValue)\(number == 1 ? "" : "s")"
        }
        let found = [Diagnosis.Verdict.problem, .warning, .note].compactMap(words)
        return found.isEmpty ? "All is well." : found.joined(separator: ", ") + "."
    }

    private static func colour(_ verdict: Diagnosis.Verdict) -> String {
        switch verdict {
        case .ok: "32"
        case .note: "36"
        case .warning: "33"
        case .problem: "31;1"
        }
    }

    private func styled(_ code: String, _ text: String) -> String { self.hasColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }

    private static func spaces(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
}
