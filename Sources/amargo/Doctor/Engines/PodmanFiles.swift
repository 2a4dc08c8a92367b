import Foundation

/// podman, buildah, skopeo and CRI-O: registries.conf and its drop-ins; a user's own file takes the place of all of them.
///
/// Source: containers-registries.conf(5).
struct PodmanFiles: Engine {
    static let main = "/etc/containers/registries.conf"
    private static let dropIns = "/etc/containers/registries.conf.d"

    func report(_ host: Machine, _ server: MirrorAddress, _ client: ClientServer) -> EngineReport {
        var report = EngineReport("podman", isInstalled: host.hasProgram("podman", "buildah", "skopeo", "crio"))
        let system = [Self.main] + Self.files(in: Self.dropIns, host)
        report.isInstalled = report.isInstalled || system.dropFirst().contains { $0.hasSuffix("/amargo.conf") }
        guard report.isInstalled else { return report }
        self.judge(Self.registries(system, host), "", host, server, client, &report)
        for home in host.homes {
            let own = "\(home)/.config/containers/registries.conf"
            guard host.exists(own) else { continue }
            // Nothing of /etc is read then.
            let files = [own] + Self.files(in: "\(own).d", host)
            let user = String(home.split(separator: "/").last ?? "root")
            let isOurs = Self.registries(files, host).entries.contains {
                $0.mirrors.contains { server.meaning(of: $0.location) == .ours }
            }
            guard !isOurs, report.usesUs else { continue }
            report.say(
                .warning, "\(user) pulls past Amargo: \(own) takes the place of all of /etc/containers/registries.conf*",
                "cp \(PodmanClient.path) \(own).d/, or remove \(own)")
        }
        return report
    }

    private func judge(
        _ found: Found, _ who: String, _ host: Machine, _ server: MirrorAddress, _ client: ClientServer,
        _ report: inout EngineReport
    ) {
        for (path, reason) in found.unreadable { report.say(.note, "\(path) cannot be read: \(reason)", "Run this as root.") }
        for (path, lines) in found.unread {
            report.say(
                .note, "\(path): not understood here: line \(lines.map(String.init).joined(separator: ", "))",
                "podman info shows what it makes of it.")
        }
        let names = client.registries.map(\.namespace.description)
        let entries = found.entries.filter { names.contains($0.prefix) }
        let ours = entries.compactMap { entry in
            entry.mirrors.first { server.meaning(of: $0.location) == .ours }.map { (entry, $0) }
        }
        guard !ours.isEmpty else {
            if let problem = entries.lazy.compactMap({ entry in
                server.complaint(entry.mirrors.map(\.location)).map { "\(entry.file): \($0)" }
            }).first {
                return report.say(.warning, problem, "amargo client-config podman > \(PodmanClient.path)")
            }
            return report.isUnused(
                "pulls past Amargo: no [[registry.mirror]] names it", "amargo client-config podman > \(PodmanClient.path)")
        }
        if let (entry, mirror) = ours.first(where: { !$0.1.isInsecure }) {
            return report.say(
                .warning,
                "\(entry.file): the mirror \(mirror.location) lacks insecure = true, so that it is asked by https, which Amargo does not speak",
                "amargo client-config podman > \(PodmanClient.path)")
        }
        if let (entry, _) = ours.first(where: { $0.0.isBlocked }) {
            return report.say(.warning, "\(entry.file): \(entry.prefix) is blocked", "Take blocked = true out.")
        }
        let named = ours.map(\.0.prefix)
        let missing = names.filter { !named.contains($0) }
        let others = missing.isEmpty ? "" : "; not \(missing.prefix(4).joined(separator: ", "))\(missing.count > 4 ? " …" : "")"
        report.uses("pulls \(named.joined(separator: ", ")) through here\(others)")
    }

    /// A `[[registry]]` as it is in force.
    struct Entry: Equatable {
        struct Mirror: Equatable {
            let location: String
            let isInsecure: Bool
        }

        let prefix: String
        let isBlocked: Bool
        var mirrors: [Mirror] = []
        let file: String
    }

    struct Found {
        var entries: [Entry] = []
        var unreadable: [(path: String, reason: String)] = []
        var unread: [(path: String, lines: [Int])] = []
    }

    private static func files(in folder: String, _ host: Machine) -> [String] {
        host.entries(folder).filter { $0.hasSuffix(".conf") }.map { "\(folder)/\($0)" }
    }

    /// A later file's registry takes the place of an earlier one's of the same prefix.
    private static func registries(_ files: [String], _ host: Machine) -> Found {
        var found = Found()
        for path in files where host.exists(path) {
            do {
                let document = TOMLDocument(try host.text(path))
                if !document.unread.isEmpty { found.unread.append((path, document.unread)) }
                let entries = Self.entries(document, path)
                found.entries.removeAll { old in entries.contains { $0.prefix == old.prefix } }
                found.entries += entries
            } catch {
                found.unreadable.append((path, error.reason))
            }
        }
        return found
    }

    static func entries(_ document: TOMLDocument, _ file: String) -> [Entry] {
        var entries: [Entry] = []
        for table in document.tables {
            if table.path == ["registry"] {
                guard let prefix = table.text("prefix") ?? table.text("location") else { continue }
                entries.append(Entry(prefix: prefix, isBlocked: table.isTrue("blocked"), file: file))
            } else if table.path == ["registry", "mirror"], !entries.isEmpty, let location = table.text("location") {
                entries[entries.count - 1].mirrors.append(Entry.Mirror(location: location, isInsecure: table.isTrue("insecure")))
            }
        }
        return entries
    }
}
