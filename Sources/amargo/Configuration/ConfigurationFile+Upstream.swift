import PullThrough
import Upstream

/// The keys of `repositories.NAME` that say how a registry is reached.
extension ConfigurationFile {
    static let upstreamKeys = [
        "upstream", "mirrors", "namespaces", "default", "cacheTtl", "credentials", "authHosts", "ca", "certificate", "key",
        "proxy",
        "connectTimeout", "answerTimeout", "stallTimeout", "connections", "allow", "deny", "bandwidthLimit",
        "staleOn", "finishAbandoned",
    ]

    func read(_ section: Section, into upstream: inout UpstreamSettings, _ note: (String) -> Void) throws {
        func noted<T>(_ key: String, _ value: T?) -> T? {
            if value != nil { note(key) }
            return value
        }
        if let texts = noted("mirrors", try section.strings("mirrors")) {
            upstream.mirrors = try texts.map { text in
                guard let address = UpstreamAddress(text) else {
                    throw section.error("mirrors", "must be addresses such as https://mirror.example.com\(Section.quoting(text))")
                }
                return address
            }
        }
        try self.readCredentials(section, into: &upstream, note)
        if let hosts = noted("authHosts", try section.strings("authHosts")) {
            upstream.authHosts = try hosts.map { text in
                guard let address = UpstreamAddress("https://\(text)"), address.path.isEmpty else {
                    throw section.error(
                        "authHosts", "must be hosts such as auth.example.com or auth.example.com:5001\(Section.quoting(text))")
                }
                return address.authority
            }
        }
        if let path = noted("ca", try section.path("ca")) { upstream.authorities = path }
        if let path = noted("certificate", try section.path("certificate")) { upstream.certificate = path }
        if let path = noted("key", try section.path("key")) {
            guard upstream.certificate != nil else { throw section.error("key", "needs a certificate that it belongs to") }
            upstream.key = path
        }
        if let text = noted("proxy", try section.string("proxy")) {
            if text == "none" {
                upstream.proxy = .none
            } else {
                guard let server = ProxyRules.Server(text) else {
                    // Not the text itself: it may hold a password.
                    throw section.error("proxy", "must be http://[user:password@]host:port, or none")
                }
                upstream.proxy = .server(server)
            }
        }
        if let seconds = noted("connectTimeout", try section.positiveSeconds("connectTimeout")) {
            upstream.connectTimeout = seconds
        }
        if let seconds = noted("answerTimeout", try section.positiveSeconds("answerTimeout")) { upstream.answerTimeout = seconds }
        if let seconds = noted("stallTimeout", try section.positiveSeconds("stallTimeout")) { upstream.stallTimeout = seconds }
        if let text = noted("connections", try section.string("connections")) {
            guard let count = Int(text), (1...4096).contains(count) else {
                throw section.error("connections", "must be a number from 1 to 4096, not \"\(text)\"")
            }
            upstream.connections = count
        }
        if let patterns = noted("allow", try self.patterns(section, "allow")) { upstream.access.allowed = patterns }
        if let patterns = noted("deny", try self.patterns(section, "deny")) { upstream.access.denied = patterns }
        if let names = noted("staleOn", try section.strings("staleOn")) {
            let classes = try names.map { name in
                guard let failure = FailureClass(rawValue: name) else {
                    let known = FailureClass.allCases.map(\.rawValue)
                    let advice = NearestKey.of(name, among: known).map { "; did you mean \($0)?" } ?? ""
                    throw section.error("staleOn", "knows \(known.joined(separator: ", ")), not \"\(name)\"\(advice)")
                }
                return failure
            }
            upstream.stalePolicy = StalePolicy(serving: Set(classes))
        }
        if let value = noted("finishAbandoned", try section.boolean("finishAbandoned")) { upstream.finishAbandoned = value }
        if let bytes = noted("bandwidthLimit", try section.bytes("bandwidthLimit")) { upstream.bandwidthLimit = bytes }
    }

    private func patterns(_ section: Section, _ key: String) throws -> [RepositoryAccess.Pattern]? {
        try section.strings(key)?.map { text in
            guard let pattern = RepositoryAccess.Pattern(text) else {
                throw section.error(key, "must be repositories such as library/nginx, library/* or org/**, not \"\(text)\"")
            }
            return pattern
        }
    }

    private func readCredentials(
        _ section: Section, into upstream: inout UpstreamSettings, _ note: (String) -> Void
    ) throws {
        guard let credentials = try section.section("credentials") else { return }
        try credentials.allow("username", "password", "passwordFile", "dockerConfig")
        note("credentials")
        if let path = try credentials.path("dockerConfig") {
            guard credentials.keys == ["dockerConfig"] else {
                throw credentials.error("dockerConfig", "stands alone: names and passwords are in that file")
            }
            upstream.credentials = .docker(path: path)
            return
        }
        guard let username = try credentials.string("username"), !username.isEmpty, !username.contains(":") else {
            throw section.error(
                "credentials", "need a username without a colon, and a password or a passwordFile; or a dockerConfig")
        }
        switch (try credentials.string("password"), try credentials.path("passwordFile")) {
        case (let password?, nil) where !password.isEmpty:
            upstream.credentials = .password(Credential(username: username, secret: .password(password)))
        case (nil, let path?): upstream.credentials = .passwordFile(username: username, path: path)
        default: throw section.error("credentials", "need either a password or a passwordFile")
        }
    }
}

extension Section {
    /// A file's path; relative ones are below the folder of the configuration file, `~/` is the user's.
    fileprivate func path(_ key: String) throws -> String? {
        guard let text = try self.string(key) else { return nil }
        guard !text.isEmpty else { throw self.error(key, "must name a file") }
        return self.resolved(text)
    }

    fileprivate func positiveSeconds(_ key: String) throws -> Int64? {
        let seconds = try self.seconds(key)
        if seconds == 0 { throw self.error(key, "must be more than nothing") }
        return seconds
    }
}
