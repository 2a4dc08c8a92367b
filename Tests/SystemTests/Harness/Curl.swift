import Foundation

/// HTTP as curl speaks it.
struct Curl: Sendable {
    struct Response: Sendable {
        let status: Int
        /// Names in lower case.
        let headers: [String: String]
        let body: Data
    }

    /// Every manifest type there is; a registry asked without them may answer with schema 1.
    static let manifestTypes = [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ].joined(separator: ", ")

    static func get(_ url: String, headers: [String: String] = [:]) async throws -> Response {
        try await Self.request(url, headers: headers, options: [])
    }

    static func head(_ url: String, headers: [String: String] = [:]) async throws -> Response {
        try await Self.request(url, headers: headers, options: ["--head"])
    }

    static func post(_ url: String) async throws -> Response {
        try await Self.request(url, headers: ["Content-Length": "0"], options: ["--request", "POST"])
    }

    static func put(_ file: URL, to url: String, type: String) async throws -> Response {
        try await Self.request(url, headers: ["Content-Type": type], options: ["--upload-file", file.path])
    }

    /// A request with a JSON document, or with no body.
    static func send(_ document: Data?, to url: String, method: String) async throws -> Response {
        guard let document else { return try await Self.request(url, headers: [:], options: ["--request", method]) }
        let folder = try TemporaryDirectory()
        defer { folder.remove() }
        let file = folder.url.appendingPathComponent("document")
        try document.write(to: file)
        return try await Self.request(
            url, headers: ["Content-Type": "application/json"], options: ["--request", method, "--data-binary", "@\(file.path)"])
    }

    /// Whether anybody answers there, whatever the answer.
    static func answers(_ url: String) async throws -> Bool {
        try await Command(.curl, ["--silent", "--max-time", "5", "--output", "/dev/null", url]).outcome().succeeded
    }

    /// The SHA-256 of a body that is too large to be kept.
    static func sha256(of url: String) async throws -> String {
        let pipeline = "'\(try Program.curl.url().path)' --silent --show-error --fail \"$1\" | sha256sum"
        var command = try Command(.shell, ["-c", pipeline, "sh", url])
        command.limit = .seconds(600)
        return String(try await command.run().text.prefix(64))
    }

    private static func request(_ url: String, headers: [String: String], options: [String]) async throws -> Response {
        let folder = try TemporaryDirectory()
        defer { folder.remove() }
        let head = folder.url.appendingPathComponent("head")
        let body = folder.url.appendingPathComponent("body")
        let fields = headers.flatMap { ["--header", "\($0.key): \($0.value)"] }
        let command = try Command(
            .curl,
            ["--silent", "--show-error", "--max-time", "120", "--dump-header", head.path, "--output", body.path]
                + options + fields + [url])
        try await command.run()
        // curl makes no file for an empty body.
        let content = (try? Data(contentsOf: body)) ?? Data()
        let isHead = options.contains("--head")
        return try Self.parse(head: String(decoding: Data(contentsOf: head), as: UTF8.self), body: isHead ? Data() : content)
    }

    /// The last head counts: "100 Continue" has one of its own.
    private static func parse(head: String, body: Data) throws -> Response {
        let blocks = head.replacingOccurrences(of: "\r\n", with: "\n").components(separatedBy: "\n\n").filter { !$0.isEmpty }
        let lines = (blocks.last ?? "").components(separatedBy: "\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw ConditionFailure(description: "not an HTTP response: \(head)")
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return Response(status: status, headers: headers, body: body)
    }
}
