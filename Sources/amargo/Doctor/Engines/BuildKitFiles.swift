/// BuildKit's daemon: `mirrors` of a registry in buildkitd.toml.
struct BuildKitFiles: Engine {
    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport {
        let path = BuildKitClient.path
        var report = EngineReport("buildkit", isInstalled: host.hasProgram("buildkitd") || host.exists(path))
        guard report.isInstalled else { return report }
        let advice = "amargo client-config buildkit shows what belongs into \(path); then restart buildkitd"
        guard host.exists(path) else {
            report.isUnused("pulls past Amargo: there is no \(path)", advice)
            return report
        }
        let document: TOMLDocument
        do {
            document = TOMLDocument(try host.text(path))
        } catch {
            report.say(.note, "\(path) cannot be read: \(error.reason)", "Run this as root.")
            return report
        }
        if !document.unread.isEmpty {
            report.say(
                .note, "\(path): not understood here: line \(document.unread.map(String.init).joined(separator: ", "))",
                "What it says there is not seen by this check.")
        }
        let names = client.registries.map(\.namespace.description)
        let tables = document.tables.filter { $0.path.count == 2 && $0.path[0] == "registry" && names.contains($0.path[1]) }
        let ours = tables.compactMap { table in
            table.list("mirrors").first { server.meaning(of: $0) == .ours }.map { (table.path[1], $0) }
        }
        guard let (_, mirror) = ours.first else {
            if let problem = tables.lazy.compactMap({ server.complaint($0.list("mirrors")) }).first {
                report.say(.warning, "\(path): \(problem)", advice)
            } else {
                report.isUnused("pulls past Amargo: \(path) names it in no mirrors", advice)
            }
            return report
        }
        guard document.table("registry", mirror)?.isTrue("http") == true else {
            report.say(
                .warning,
                "\(path): [registry.\"\(mirror)\"] lacks http = true, so that it is asked by https, which Amargo does not speak",
                advice)
            return report
        }
        report.uses("pulls \(ours.map(\.0).joined(separator: ", ")) through here")
        return report
    }
}
