import Yams

/// k3s and RKE2: registries.yaml, of which they make containerd's files at each start.
struct K3sFiles: Engine {
    /// `k3s` or `rke2`.
    let name: String

    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport {
        let path = "/etc/rancher/\(self.name)/registries.yaml"
        var report = EngineReport(self.name, isInstalled: host.hasProgram(self.name) || host.exists("/etc/rancher/\(self.name)"))
        guard report.isInstalled else { return report }
        let advice = "amargo client-config k3s shows what belongs into \(path); then: systemctl restart \(self.name)"
        guard host.exists(path) else {
            report.isUnused("pulls past Amargo: there is no \(path)", advice)
            return report
        }
        let mirrors: [String: [String]]
        do {
            mirrors = try Self.mirrors(in: try host.text(path))
        } catch let error as TextFile.Failure {
            report.say(.note, "\(path) cannot be read: \(error.reason)", "Run this as root.")
            return report
        } catch {
            report.say(.problem, "\(path) is not valid YAML: \(self.name) does not start with it", "Mend it; \(advice)")
            return report
        }
        let ours = mirrors.filter { $0.value.contains { server.meaning(of: $0) == .ours } }.map(\.key).sorted()
        if !ours.isEmpty {
            report.uses("pulls \(ours.joined(separator: ", ")) through here")
        } else if let problem = mirrors.sorted(by: { $0.key < $1.key }).lazy.compactMap({ server.complaint($0.value) }).first {
            report.say(.warning, "\(path): \(problem)", advice)
        } else {
            report.isUnused("pulls past Amargo: \(path) names it in no mirrors", advice)
        }
        return report
    }

    /// `mirrors.NAME.endpoint`.
    static func mirrors(in text: String) throws -> [String: [String]] {
        guard case .mapping(let document)? = try Yams.compose(yaml: text),
            case .mapping(let section)? = document.first(where: { $0.key.string == "mirrors" })?.value
        else { return [:] }
        var mirrors: [String: [String]] = [:]
        for (key, value) in section {
            guard let name = key.string, case .mapping(let mirror) = value else { continue }
            let endpoint = mirror.first { $0.key.string == "endpoint" }?.value
            mirrors[name] = endpoint?.sequence?.compactMap(\.string) ?? endpoint?.string.map { [$0] } ?? []
        }
        return mirrors
    }
}
