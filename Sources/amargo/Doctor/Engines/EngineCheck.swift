import Foundation

/// What an engine's configuration says of this server.
struct EngineReport: Equatable, Sendable {
    let engine: String
    var isInstalled: Bool
    /// Whether its pulls come here, as far as its files say.
    var usesUs = false
    /// Why not, with what to do: spoken of as a warning when no engine comes here.
    var isUnused = false
    var diagnoses: [Diagnosis] = []

    init(_ engine: String, isInstalled: Bool) {
        self.engine = engine
        self.isInstalled = isInstalled
    }

    mutating func say(_ verdict: Diagnosis.Verdict, _ finding: String, _ advice: String...) {
        var diagnosis = Diagnosis("engines.engine", of: self.engine, verdict, finding.harmless)
        diagnosis.advice = advice.map(\.harmless)
        self.diagnoses.append(diagnosis)
    }

    /// It comes here.
    mutating func uses(_ finding: String) {
        self.usesUs = true
        self.say(.ok, finding)
    }

    /// It does not come here, and nothing says that it should.
    mutating func isUnused(_ finding: String, _ advice: String) {
        self.isUnused = true
        self.say(.warning, finding, advice)
    }
}

/// One engine's files.
protocol Engine: Sendable {
    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport
}

/// All engines of this host.
struct EnginesCheck: BlockingCheck {
    let id = "engines.engine"
    let settings: Settings
    let host: Machine
    let server: MirrorAddress
    var engines: [any Engine] = [
        DockerFiles(), RootlessDockerFiles(), ContainerdFiles(), PodmanFiles(), BuildKitFiles(), K3sFiles(name: "k3s"),
        K3sFiles(name: "rke2"),
    ]

    func look() -> [Diagnosis] {
        let client: ClientServer
        do {
            client = try ClientServer(self.settings, host: nil)
        } catch {
            return [Diagnosis(self.id, .note, "\(error)".harmless)]
        }
        let reports = self.engines.map { $0.report(self.host, self.server, client) }
        // One that serves other hosts has its clients there, and who has configured one engine knows of the others.
        let isNote = self.server.servesOthers || reports.contains(where: \.usesUs)
        let found = reports.filter { $0.isInstalled || !$0.diagnoses.isEmpty }.flatMap { report in
            report.diagnoses.map { diagnosis in
                var diagnosis = diagnosis
                if report.isUnused, isNote, diagnosis.verdict == .warning { diagnosis.verdict = .note }
                return diagnosis
            }
        }
        let absent = reports.filter { !$0.isInstalled && $0.diagnoses.isEmpty }.map(\.engine)
        guard !absent.isEmpty else { return found }
        return found + [Diagnosis("engines.absent", .note, "not here: \(absent.joined(separator: ", "))")]
    }
}

extension MirrorAddress {
    /// What to say of mirrors that are all somebody else's; nil when one is this server.
    func complaint(_ mirrors: [String]) -> String? {
        let meanings = mirrors.map { ($0, self.meaning(of: $0)) }
        if meanings.contains(where: { $0.1 == .ours }) { return nil }
        for (text, meaning) in meanings {
            switch meaning {
            case .secure: return "\(text) is asked by https, and Amargo speaks http"
            case .elsewhere:
                return "\(text) is this host, but Amargo listens on \(self.listen.map(\.text).joined(separator: ", "))"
            case .ours, .stranger: continue
            }
        }
        return nil
    }
}
