import Foundation
import Logging
import NIOCore
import Upstream

/// Each registry and mirror, asked once: what of the chain works, and by how much this host's clock is off.
struct UpstreamsCheck: Check {
    let id = "upstreams.registry"
    let settings: Settings
    let environment: [String: String]
    let group: any EventLoopGroup
    let patience: Duration
    /// Unix seconds.
    let now: @Sendable () -> Int64

    func diagnoses() async -> [Diagnosis] {
        let results = await withTaskGroup(of: (Int, [RegistryProbe]).self) { tasks in
            for (index, repository) in self.settings.repositories.enumerated() {
                tasks.addTask { (index, await self.probe(repository)) }
            }
            var results: [(index: Int, probes: [RegistryProbe])] = []
            for await result in tasks { results.append(result) }
            return results.sorted { $0.index < $1.index }
        }
        let reports = results.flatMap { index, probes in
            probes.enumerated().map { number, probe in
                let hasOther = probes.enumerated().contains { $0.offset != number && $0.element.isUsable }
                return RegistryReport(
                    self.settings, self.settings.repositories[index], probe, hasOther: hasOther, now: self.now())
            }
        }
        let skipped = results.filter { $0.probes.isEmpty }.map { index, _ in
            Diagnosis(
                self.id, of: self.settings.repositories[index].name, .note,
                "was not asked: its configuration has to be mended first")
        }
        return skipped + self.network(reports) + [ClockReport(reports.map(\.probe)).diagnosis]
    }

    private func probe(_ repository: Settings.Repository) async -> [RegistryProbe] {
        guard
            var configuration = try? await Blocking.run({
                try repository.connection.configuration(repository.name, repository.upstream, environment: self.environment)
            })
        else { return [] }  // what is wrong is said by the configuration's check
        configuration.connectTimeout = min(configuration.connectTimeout, self.patience)
        configuration.headTimeout = min(configuration.headTimeout, self.patience)
        let logger = Logger(label: "amargo") { _ in SwiftLogNoOpLogHandler() }
        let client = RegistryClient(configuration, group: self.group, logger: logger)
        let probes = await client.probe(within: self.patience, group: self.group, now: self.now)
        await client.shutdown()
        return probes
    }

    /// With everything out of reach it is not each registry's fault, and is said once.
    private func network(_ reports: [RegistryReport]) -> [Diagnosis] {
        let distant = reports.filter { !$0.isNear }
        let steps = distant.map { $0.probe.failure?.step }
        guard distant.count > 1, steps.allSatisfy({ $0 == .name || $0 == .connection }) else { return reports.map(\.diagnosis) }
        let isName = steps.allSatisfy { $0 == .name }
        let proxy = distant.lazy.compactMap(\.probe.proxy).first
        let cause =
            if let proxy {
                "The way is through the proxy \(proxy): does it run? See HTTPS_PROXY."
            } else if isName {
                "Does this host resolve names? getent hosts \(distant[0].probe.address.host); see /etc/resolv.conf"
            } else {
                "Is there a way out? ip route; a firewall? a proxy to be named by HTTPS_PROXY?"
            }
        // Those that are named by an address may be.
        let who = distant.count == reports.count ? "no registry" : "none of \(distant.count) registries that have a name"
        let all = Diagnosis(
            "upstreams.network", .problem, "\(who) can be reached: \(isName ? "no name is resolved" : "nobody answers")",
            cause,
            "What is stored is served meanwhile. Without a network on purpose: amargo serve --offline, amargo doctor --offline")
        return [all]
            + reports.map { report in
                var diagnosis = report.diagnosis
                guard !report.isNear else { return diagnosis }
                diagnosis.verdict = .note
                diagnosis.advice = []
                return diagnosis
            }
    }
}

/// What one probe means, in words.
struct RegistryReport {
    let settings: Settings
    let repository: Settings.Repository
    let probe: RegistryProbe
    /// Whether another place has the same content.
    let hasOther: Bool
    let now: Int64

    init(_ settings: Settings, _ repository: Settings.Repository, _ probe: RegistryProbe, hasOther: Bool, now: Int64) {
        self.settings = settings
        self.repository = repository
        self.probe = probe
        self.hasOther = hasOther
        self.now = now
    }

    /// Whether it is named by an address or on this host: then the network's names say nothing of it.
    var isNear: Bool {
        let host = self.probe.address.host
        return host == "localhost" || host.hasPrefix("[") || host.allSatisfy { $0.isNumber || $0 == "." }
    }

    private func place(_ key: String) -> String {
        let dotted = "repositories.\(self.repository.name).\(key)"
        return self.settings.origins[dotted].map { "\(dotted) (\($0))" } ?? dotted
    }

    /// A registry that nobody has configured, and one that another place stands in for, are not worth as much.
    private var severity: Diagnosis.Verdict {
        self.probe.isMirror || self.hasOther || !(self.isConfigured || self.repository.isDefault) ? .warning : .problem
    }

    private var isConfigured: Bool {
        self.settings.origins.keys.contains { $0.hasPrefix("repositories.\(self.repository.name).") }
    }

    private func found(_ verdict: Diagnosis.Verdict, _ finding: String, _ advice: String...) -> Diagnosis {
        let what = self.probe.isMirror ? "mirror \(self.probe.address): " : "\(self.probe.address): "
        var diagnosis = Diagnosis(
            "upstreams.registry", of: self.repository.name, verdict, (what + finding).harmless)
        diagnosis.advice = advice.filter { !$0.isEmpty }.map(\.harmless)
        return diagnosis
    }

    private var way: String { self.probe.proxy.map { " by way of the proxy \($0)" } ?? "" }

    var diagnosis: Diagnosis {
        if let failure = self.probe.failure { return self.explain(failure) }
        if let target = self.probe.redirect {
            let isUpgrade = target.hasPrefix("https:") && !self.probe.address.isSecure
            return self.found(
                isUpgrade ? .warning : .ok, "redirects to \(target)",
                isUpgrade ? "Credentials do not follow redirects: write that address into \(self.place("upstream"))." : "")
        }
        let latency =
            self.probe.latency.map {
                " in \($0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000) ms"
            } ?? ""
        let answers = "answers\(latency)\(self.way)"
        let host = self.probe.address.authority
        switch self.probe.access {
        case .open, nil:
            let unused = self.repository.connection.credentials != nil && !self.probe.isMirror
            return self.found(
                .ok, "\(answers), wants no credentials\(unused ? " (those configured are for what it asks them for)" : "")")
        case .anonymous:
            guard self.repository.connection.credentials != nil, !self.probe.isMirror else {
                return self.limits("\(answers), gives tokens to everybody")
            }
            return self.found(
                .warning, "\(answers), and is asked as a stranger: the credentials configured are not for it",
                "\(self.place("credentials")) has no entry for \(host): docker login \(host) makes one.")
        case .reserved:
            let isBuiltIn = !self.isConfigured
            return self.found(
                isBuiltIn ? .ok : .note, "\(answers), and gives a token only for what is public",
                isBuiltIn
                    ? ""
                    : "For the rest: credentials: { username: NAME, passwordFile: FILE } in repositories.\(self.repository.name)")
        case .accepted(let user): return self.limits("\(answers), accepts the credentials of \(user)")
        case .refused(let user, let by):
            return self.found(
                self.severity, "\(by) refuses the credentials of \(user)",
                "Correct \(self.place("credentials")). To try them: docker login -u \(user) \(host)",
                "A password may have ended: many registries want an access token in its place.")
        case .wanted:
            let isConfigured = self.repository.connection.credentials != nil
            return self.found(
                .warning,
                isConfigured ? "wants credentials, and those configured are not for it" : "wants credentials, and there are none",
                isConfigured
                    ? "\(self.place("credentials")) has no entry for \(host): docker login \(host) makes one."
                    : "Name them: credentials: { username: NAME, passwordFile: FILE } in repositories.\(self.repository.name)")
        case .withheld(let other):
            return self.found(
                self.severity, "wants the credentials sent to \(other), which they are not for: nothing is sent there",
                "If it is the registry's own token service: authHosts: [\"\(other)\"] in repositories.\(self.repository.name)")
        case .forbidden:
            return self.found(
                self.severity, "refuses everybody who asks from here (403)",
                "A firewall, a proxy or the registry itself does: curl -v \(self.probe.versionURL)")
        case .limited(let seconds):
            return self.found(
                .warning, "limits our requests (429)" + (seconds.map { "; it may be asked again in \($0) s" } ?? ""),
                "Credentials raise most limits: credentials in repositories.\(self.repository.name). What is stored is served meanwhile."
            )
        }
    }

    private func limits(_ text: String) -> Diagnosis {
        guard let limit = self.probe.rateLimit else { return self.found(.ok, text) }
        let window = limit.window.map { " in \(PlainDate.span($0.components.seconds))" } ?? ""
        let left = "\(limit.remaining)\(limit.limit.map { " of \($0)" } ?? "") pulls left\(window)"
        guard let total = limit.limit, total > 0, Double(limit.remaining) / Double(total) < 0.1 else {
            return self.found(.ok, "\(text), \(left)")
        }
        return self.found(
            .warning, "\(text), only \(left)",
            "Tags are believed for longer meanwhile. Credentials raise the limit: credentials in repositories.\(self.repository.name)"
        )
    }

    private func explain(_ failure: RegistryProbe.Failure) -> Diagnosis {
        let chain = RegistryProbe.Step.allCases.prefix { $0 != failure.step }.filter { $0 != .tls || self.probe.address.isSecure }
        let done = chain.isEmpty ? "" : " (\(chain.map(Self.word).joined(separator: ", ")): ok)"
        let host = self.probe.address.host
        let finding = "\(Self.word(failure.step)): \(failure.message)\(done)\(self.way)"
        switch failure.step {
        case .name:
            return self.found(
                self.severity, finding,
                self.probe.proxy == nil
                    ? "getent hosts \(host); is it spelled right? \(self.place("upstream"))"
                    : "Correct the proxy: HTTPS_PROXY, or \(self.place("proxy"))")
        case .connection:
            return self.found(
                self.severity, finding,
                self.probe.proxy == nil
                    ? "Does it run, and does a firewall let you there? curl -v \(self.probe.versionURL)"
                    : "Does the proxy run? HTTPS_PROXY, or \(self.place("proxy")); past it: proxy: none",
                "A way by a proxy: HTTPS_PROXY, or \(self.place("proxy"))")
        case .tls: return self.found(self.severity, finding, self.certificateAdvice(failure.certificate))
        case .answer:
            return self.found(
                self.severity, finding,
                "curl -v \(self.probe.versionURL) shows what it says. Is \(self.place("upstream")) right?")
        case .token:
            return self.found(
                self.severity, finding, "Its token service has to be reachable too; credentials: \(self.place("credentials"))")
        }
    }

    private static func word(_ step: RegistryProbe.Step) -> String {
        switch step {
        case .name: "name"
        case .connection: "connection"
        case .tls: "TLS"
        case .answer: "answer"
        case .token: "token"
        }
    }

    private func certificateAdvice(_ certificate: CertificateFacts?) -> String {
        let host = self.probe.address.host
        guard let certificate else {
            return
                "openssl s_client -connect \(host):\(self.probe.address.port ?? 443) shows what it says. Does it speak TLS at all?"
        }
        if certificate.ends <= self.now {
            return
                "Its certificate has ended on \(PlainDate.day(certificate.ends)); this host has \(PlainDate.day(self.now)): is the clock right?"
        }
        if certificate.begins > self.now {
            return """
                Its certificate is good from \(PlainDate.moment(certificate.begins)) on, and this host has \
                \(PlainDate.moment(self.now)): the clock is behind. timedatectl
                """
        }
        if !certificate.isFor(host: host) {
            let names = certificate.names.prefix(5).joined(separator: ", ")
            return
                "Its certificate is for \(names.isEmpty ? "nobody by name" : names), not for \(host): correct \(self.place("upstream"))"
        }
        return
            "Its authority is not known here: name its certificate in PEM with ca: FILE in repositories.\(self.repository.name)"
    }
}

/// This host's clock beside those of the registries.
struct ClockReport {
    private let offsets: [(place: String, seconds: Int64)]

    init(_ probes: [RegistryProbe]) {
        self.offsets = probes.compactMap { probe in probe.clockOffset.map { (probe.address.authority, $0) } }
    }

    var diagnosis: Diagnosis {
        // One registry may be wrong; most are not.
        let sorted = self.offsets.sorted { $0.seconds < $1.seconds }
        guard !sorted.isEmpty else {
            return Diagnosis(
                "clock.registries", .note, "no registry has told its time", "timedatectl shows whether this host's is kept right."
            )
        }
        let middle = sorted[sorted.count / 2]
        let who = sorted.count == 1 ? middle.place : "\(sorted.count) registries"
        let direction = middle.seconds > 0 ? "behind" : "ahead of"
        let text = "this host's clock is \(PlainDate.span(middle.seconds)) \(direction) that of \(who)"
        switch abs(middle.seconds) {
        case ...60: return Diagnosis("clock.registries", .ok, "agrees with \(who)")
        case ...300: return Diagnosis("clock.registries", .warning, text, "Keep it right: timedatectl set-ntp true")
        default:
            return Diagnosis(
                "clock.registries", .problem, text,
                "Tokens and certificates fail by it. Set it, and keep it right: timedatectl set-ntp true")
        }
    }
}
