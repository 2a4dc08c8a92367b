import Foundation

/// containerd: its `config.toml` names a folder, and each registry has a `hosts.toml` there.
///
/// Sources: containerd, docs/hosts.md and docs/cri/registry.md; versions 2 and 3 of the file have different tables.
struct ContainerdFiles: Engine {
    static let configuration = "/etc/containerd/config.toml"

    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport {
        let folder = ContainerdClient.folder
        var report = EngineReport("containerd", isInstalled: host.hasProgram("containerd") || host.exists(folder))
        guard report.isInstalled else { return report }
        let text: String
        do {
            text = host.exists(Self.configuration) ? try host.text(Self.configuration) : ""
        } catch {
            report.say(.note, "\(Self.configuration) cannot be read: \(error.reason)", "Run this as root.")
            return report
        }
        let settings = Self.settings(text)
        let folders = settings.paths.isEmpty ? [folder] : settings.paths
        let found = Self.registries(host, server, client, folders)
        if !settings.unread.isEmpty, settings.paths.isEmpty {
            report.say(
                .note,
                "\(Self.configuration): not understood here: line \(settings.unread.map(String.init).joined(separator: ", "))",
                "What it says of config_path there is not seen by this check.")
        }
        guard let best = found.named.first else {
            if let complaint = found.complaint {
                report.say(.warning, complaint, "amargo client-config containerd --output \(folder)")
            } else {
                report.isUnused(
                    "pulls past Amargo: no hosts.toml in \(folders.joined(separator: ", ")) names it",
                    "amargo client-config containerd --output \(folder), and config_path in \(Self.configuration)")
            }
            return report
        }
        if settings.hasOldMirrors, !settings.paths.isEmpty {
            report.say(
                .problem,
                "\(Self.configuration) has both config_path and the old registry.mirrors: containerd's CRI refuses that",
                "Take the table registry.mirrors out; then: systemctl restart containerd")
        }
        self.judge(settings, best, found.named, client, &report)
        return report
    }

    private func judge(
        _ settings: CRISettings, _ first: String, _ named: [String], _ client: ClientServer, _ report: inout EngineReport
    ) {
        let missing = client.registries.map(\.namespace.description).filter { !named.contains($0) && !named.contains("_default") }
        let others = missing.isEmpty ? "" : "; not \(missing.prefix(4).joined(separator: ", "))\(missing.count > 4 ? " …" : "")"
        if settings.isDisabled {
            report.uses("hosts.toml leads here for \(named.joined(separator: ", "))\(others)")
            return report.say(
                .note, "its CRI is switched off (disabled_plugins): Kubernetes cannot use it; ctr and nerdctl can",
                "ctr takes the folder with --hosts-dir \(ContainerdClient.folder) alone.")
        }
        guard !settings.paths.isEmpty || settings.version >= 3 && !settings.hasRegistryTable else {
            return report.say(
                .warning, "hosts.toml leads here, but \(Self.configuration) names no config_path: Kubernetes pulls past Amargo",
                settings.version >= 3
                    ? "[plugins.\"io.containerd.cri.v1.images\".registry] config_path = \"\(ContainerdClient.folder)\"; then: systemctl restart containerd"
                    : "[plugins.\"io.containerd.grpc.v1.cri\".registry] config_path = \"\(ContainerdClient.folder)\"; then: systemctl restart containerd",
                "nerdctl reads the folder by itself; ctr with --hosts-dir \(ContainerdClient.folder)")
        }
        report.uses("pulls \(named.joined(separator: ", ")) through here\(others)")
    }

    /// What the CRI is told.
    struct CRISettings: Equatable {
        var version = 1
        /// The folders of `config_path`.
        var paths: [String] = []
        var hasOldMirrors = false
        var isDisabled = false
        /// Whether there is a table for registries at all.
        var hasRegistryTable = false
        var unread: [Int] = []
    }

    static func settings(_ text: String) -> CRISettings {
        let document = TOMLDocument(text)
        var settings = CRISettings()
        settings.unread = document.unread
        if case .word(let word)? = document.root.values["version"] { settings.version = Int(word) ?? 1 }
        settings.isDisabled = document.root.list("disabled_plugins").contains {
            $0 == "cri" || $0.hasPrefix("io.containerd.grpc.v1.cri")
        }
        for table in document.tables {
            guard table.path.count > 2, table.path[0] == "plugins", table.path[2] == "registry",
                ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"].contains(table.path[1])
            else { continue }
            if table.path.count == 3 {
                settings.hasRegistryTable = true
                if let path = table.text("config_path"), !path.isEmpty {
                    settings.paths = path.split(separator: ":").map(String.init)
                }
            } else if table.path[3] == "mirrors", table.path.count > 4 {
                settings.hasOldMirrors = true
            }
        }
        return settings
    }

    /// The registries whose `hosts.toml` leads here, and what to say of one that nearly does.
    private static func registries(
        _ host: Machine, _ server: MirrorAddress, _ client: ClientServer, _ folders: [String]
    ) -> (named: [String], complaint: String?) {
        var named: [String] = []
        var complaint: String?
        for name in client.registries.map(\.namespace.description) + ["_default"] {
            // A port may also be written host_5000_, for file systems that know no colon: containerd, docs/hosts.md.
            let names = name.contains(":") ? [name, name.replacingOccurrences(of: ":", with: "_") + "_"] : [name]
            for path in folders.flatMap({ folder in names.map { "\(folder)/\($0)/hosts.toml" } }) {
                guard let text = try? host.text(path) else { continue }  // there is none
                let hosts = TOMLDocument(text).tables.filter { $0.path.count == 2 && $0.path[0] == "host" }
                let addresses = hosts.map { $0.path[1] }
                if addresses.contains(where: { server.meaning(of: $0) == .ours }) {
                    named.append(name)
                } else if let problem = server.complaint(addresses) {
                    complaint = complaint ?? "\(path): \(problem)"
                }
                break
            }
        }
        return (named, complaint)
    }
}
