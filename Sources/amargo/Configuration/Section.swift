import Foundation
import Upstream
import Yams

/// A mapping of the configuration file, with its place, so that every error can say where it is.
struct Section {
    private let mapping: Node.Mapping
    /// Dotted, empty for the whole document.
    private let path: String
    private let file: String

    init(_ node: Node, _ path: String, _ file: String) throws {
        guard case .mapping(let mapping) = node else {
            let line = node.mark.map { ", line \($0.line)" } ?? ""
            let what = path.isEmpty ? "the file" : path
            throw SettingsError("\(file)\(line): \(what) must hold keys and values, not a single value or a list")
        }
        self.mapping = mapping
        self.path = path
        self.file = file
    }

    var keys: [String] { self.mapping.keys.compactMap(\.string) }

    /// Where a key stands, for people.
    func place(_ key: String) -> String { "\(self.file)\(self.line(of: key).map { ", line \($0)" } ?? "")" }

    private func line(of key: String) -> Int? { self.mapping.first { $0.key.string == key }?.key.mark?.line }

    private func dotted(_ key: String) -> String { self.path.isEmpty ? key : "\(self.path).\(key)" }

    func error(_ key: String, _ problem: String) -> SettingsError {
        SettingsError("\(self.place(key)): \(self.dotted(key)) \(problem)")
    }

    func unknown(_ key: String, among known: [String]) -> SettingsError {
        let advice = NearestKey.of(key, among: known).map { "did you mean \(self.dotted($0))?" }
        return SettingsError(
            "\(self.place(key)): unknown key \(self.dotted(key)); \(advice ?? "known here: \(known.joined(separator: ", "))")")
    }

    /// What was written instead; not when there may be a password in it.
    static func quoting(_ text: String) -> String {
        text.contains("@") ? ", without a name and a password (those belong into credentials)" : ", not \"\(text)\""
    }

    /// A path as the file means it: below the file's own folder, unless it says otherwise.
    func resolved(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        if path.hasPrefix("~/") { return NSString(string: path).expandingTildeInPath }
        return URL(fileURLWithPath: self.file).deletingLastPathComponent().appendingPathComponent(path).standardizedFileURL.path
    }

    /// Refuses every key but these, and any that stands twice.
    func allow(_ known: String...) throws { try self.allow(known) }

    func allow(_ known: [String]) throws {
        var seen: Set<String> = []
        for entry in self.mapping {
            guard let key = entry.key.string else { throw SettingsError("\(self.file): a key of \(self.path) is no text") }
            guard known.contains(key) else { throw self.unknown(key, among: known) }
            guard seen.insert(key).inserted else { throw self.error(key, "stands twice") }
        }
    }

    /// The value of a key; nil when it is missing or empty.
    private func value(_ key: String) -> Node? {
        guard let node = self.mapping.first(where: { $0.key.string == key })?.value else { return nil }
        return Self.isNull(node) ? nil : node
    }

    /// Whether a value was left out, in one of YAML's spellings.
    static func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain || scalar.style == .any else { return false }
        return scalar.string.isEmpty || scalar.string == "~" || scalar.string == "null"
    }

    /// Whether a key holds `false` instead of a section: what it names shall not be there.
    func isOff(_ key: String) throws -> Bool {
        guard case .scalar(let scalar)? = self.value(key) else { return false }
        guard scalar.string == "false" else { throw self.error(key, "must hold keys and values, or false to remove it") }
        return true
    }

    func section(_ key: String) throws -> Section? {
        guard let node = self.value(key) else { return nil }
        return try Section(node, self.dotted(key), self.file)
    }

    func string(_ key: String) throws -> String? {
        guard let node = self.value(key) else { return nil }
        guard case .scalar(let scalar) = node else { throw self.error(key, "must be a single value") }
        return scalar.string
    }

    /// One text or a list of them.
    func strings(_ key: String) throws -> [String]? {
        guard let node = self.value(key) else { return nil }
        switch node {
        case .scalar(let scalar): return [scalar.string]
        case .sequence(let sequence):
            return try sequence.map { element in
                guard case .scalar(let scalar) = element else { throw self.error(key, "must be a list of texts") }
                return scalar.string
            }
        default: throw self.error(key, "must be a text or a list of texts")
        }
    }

    func boolean(_ key: String) throws -> Bool? {
        guard let text = try self.string(key) else { return nil }
        switch text {
        case "true": return true
        case "false": return false
        default: throw self.error(key, "must be true or false, not \"\(text)\"")
        }
    }

    func bytes(_ key: String) throws -> Int64? {
        guard let text = try self.string(key) else { return nil }
        guard let bytes = Quantity.bytes(text) else {
            throw self.error(key, "must be a size such as 200GB, 1TB or 512MiB, not \"\(text)\"")
        }
        return bytes
    }

    func seconds(_ key: String) throws -> Int64? {
        guard let text = try self.string(key) else { return nil }
        guard let seconds = Quantity.seconds(text) else {
            throw self.error(key, "must be seconds or a duration such as 1800, 30m, 24h or 7d, not \"\(text)\"")
        }
        return seconds
    }

    func address(_ key: String) throws -> UpstreamAddress? {
        guard let text = try self.string(key) else { return nil }
        guard let address = UpstreamAddress(text) else {
            throw self.error(key, "must be an address such as https://registry-1.docker.io\(Self.quoting(text))")
        }
        return address
    }
}
