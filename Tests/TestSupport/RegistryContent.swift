import Foundation

/// What a well-behaved registry holds and how it answers.
struct RegistryContent {
    private struct Manifest {
        let bytes: [UInt8]
        let mediaType: String
    }

    private struct Repository {
        var blobs: [String: [UInt8]] = [:]
        var manifests: [String: Manifest] = [:]
        var tags: [String: String] = [:]
    }

    private var repositories: [String: Repository] = [:]
    private var files: [String: Manifest] = [:]

    mutating func addBlob(_ bytes: [UInt8], digest: String, in repository: String) {
        self.repositories[repository, default: Repository()].blobs[digest] = bytes
    }

    mutating func addManifest(_ bytes: [UInt8], mediaType: String, digest: String, in repository: String) {
        self.repositories[repository, default: Repository()].manifests[digest] =
            Manifest(bytes: bytes, mediaType: mediaType)
    }

    mutating func setTag(_ tag: String, in repository: String, to digest: String?) {
        self.repositories[repository, default: Repository()].tags[tag] = digest
    }

    mutating func addFile(_ bytes: [UInt8], mediaType: String, at path: String) {
        self.files[path] = Manifest(bytes: bytes, mediaType: mediaType)
    }

    mutating func remove(_ digest: String, in repository: String) {
        self.repositories[repository]?.blobs[digest] = nil
        self.repositories[repository]?.manifests[digest] = nil
    }

    /// The proper response; HEAD gets the one of GET, whose body the sender leaves out.
    func response(to request: RecordedRequest, ignoringRange: Bool) -> ServerResponse {
        guard ["GET", "HEAD"].contains(request.method) else { return .error(405, "UNSUPPORTED") }
        if let file = self.files[request.path] {
            return self.bytes(file.bytes, file.mediaType, nil, to: request, ignoringRange: ignoringRange)
        }
        if request.path == "/v2/" || request.path == "/v2" { return .json(200, "{}") }
        guard let (name, kind, reference) = Self.parts(of: request.path) else { return .error(404, "UNSUPPORTED") }
        guard let repository = self.repositories[name] else { return .error(404, "NAME_UNKNOWN") }
        switch kind {
        case "blobs":
            guard let bytes = repository.blobs[reference] else { return .error(404, "BLOB_UNKNOWN") }
            let type = "application/octet-stream"
            return self.bytes(bytes, type, reference, to: request, ignoringRange: ignoringRange)
        case "manifests":
            let digest = repository.tags[reference] ?? reference
            guard let manifest = repository.manifests[digest] else { return .error(404, "MANIFEST_UNKNOWN") }
            return self.manifest(manifest, digest, to: request)
        case "tags" where reference == "list":
            return self.tagList(name, repository.tags.keys.sorted(), to: request)
        default:
            return .error(404, "UNSUPPORTED")
        }
    }

    /// The repository a path speaks of.
    static func repository(of path: String) -> String? { self.parts(of: path)?.name }

    private static func parts(of path: String) -> (name: String, kind: String, reference: String)? {
        let elements = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard elements.count >= 5, elements[0].isEmpty, elements[1] == "v2" else { return nil }
        let name = elements[2..<(elements.count - 2)].joined(separator: "/")
        return (name, elements[elements.count - 2], elements[elements.count - 1])
    }

    private func manifest(_ manifest: Manifest, _ digest: String, to request: RecordedRequest) -> ServerResponse {
        var response = ServerResponse(status: 200, body: manifest.bytes)
        response.headers = [
            ("Content-Type", manifest.mediaType), ("Docker-Content-Digest", digest), ("ETag", "\"\(digest)\""),
        ]
        if request.header("If-None-Match") == "\"\(digest)\"" {
            response.status = 304
            response.window = 0..<0
        }
        return response
    }

    private func bytes(
        _ bytes: [UInt8], _ type: String, _ digest: String?, to request: RecordedRequest, ignoringRange: Bool
    ) -> ServerResponse {
        var response = ServerResponse(status: 200, body: bytes)
        response.headers = [("Content-Type", type), ("Accept-Ranges", "bytes")]
        if let digest { response.headers += [("Docker-Content-Digest", digest), ("ETag", "\"\(digest)\"")] }
        let condition = request.header("If-Range")
        guard !ignoringRange, let text = request.header("Range"), condition == nil || condition == "\"\(digest ?? "")\""
        else { return response }
        switch Self.range(text, of: bytes.count) {
        case .whole:
            return response
        case .part(let window):
            response.status = 206
            response.window = window
            let value = "bytes \(window.lowerBound)-\(window.upperBound - 1)/\(bytes.count)"
            response.headers.append(("Content-Range", value))
            return response
        case .unsatisfiable:
            var refusal = ServerResponse.error(416, "SIZE_INVALID")
            refusal.headers.append(("Content-Range", "bytes */\(bytes.count)"))
            return refusal
        }
    }

    private enum RequestedRange {
        case whole
        case part(Range<Int>)
        case unsatisfiable
    }

    private static func range(_ text: String, of size: Int) -> RequestedRange {
        let prefix = "bytes="
        let ends = text.dropFirst(prefix.count).split(separator: "-", omittingEmptySubsequences: false)
        guard text.hasPrefix(prefix), ends.count == 2 else { return .whole }
        switch (Int(ends[0]), Int(ends[1])) {
        case (let first?, _) where first >= size: return .unsatisfiable
        case (let first?, nil) where ends[1].isEmpty: return .part(first..<size)
        case (let first?, let last?) where last >= first: return .part(first..<min(size, last + 1))
        case (nil, let count?) where ends[0].isEmpty:
            return count == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - count)..<size)
        default: return .whole
        }
    }

    private func tagList(_ name: String, _ tags: [String], to request: RecordedRequest) -> ServerResponse {
        let last = request.query("last").first
        let rest = tags.filter { tag in last.map { tag > $0 } ?? true }
        let count = request.query("n").first.flatMap { Int($0) } ?? rest.count
        let page = rest.prefix(max(0, count))
        let list = page.map { "\"\($0)\"" }.joined(separator: ",")
        var response = ServerResponse.json(200, "{\"name\":\"\(name)\",\"tags\":[\(list)]}")
        if let end = page.last, page.count < rest.count {
            response.headers.append(("Link", "</v2/\(name)/tags/list?n=\(count)&last=\(end)>; rel=\"next\""))
        }
        return response
    }
}
