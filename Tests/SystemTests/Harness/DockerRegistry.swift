import Foundation

/// Debian's docker-registry with a configuration, a folder and a port of its own: the upstream.
actor DockerRegistry {
    nonisolated let port: Int
    nonisolated let daemon: Daemon

    nonisolated let storage: URL

    nonisolated var url: String { "http://127.0.0.1:\(self.port)" }

    init(in folder: URL) throws {
        self.port = try LoopbackPort.free()
        self.storage = folder.appendingPathComponent("storage")
        try FileManager.default.createDirectory(at: self.storage, withIntermediateDirectories: true)
        let configuration = folder.appendingPathComponent("registry.yml")
        let text = """
            version: 0.1
            storage:
              filesystem:
                rootdirectory: \(self.storage.path)
            http:
              addr: 127.0.0.1:\(self.port)
              secret: amargo

            """
        try Data(text.utf8).write(to: configuration)
        self.daemon = Daemon(
            "docker-registry",
            try Program.dockerRegistry.url(),
            ["serve", configuration.path],
            log: folder.appendingPathComponent("registry.log"))
    }

    func start() async throws {
        try await self.daemon.start { try await Curl.answers("\(self.url)/v2/") }
    }

    func stop() async {
        await self.daemon.terminate()
    }

    /// How many requests it has answered whose request line contains `text`, as its own access log says.
    nonisolated func requests(_ text: String) -> Int {
        self.daemon.logText().split(separator: "\n").count { $0.contains("HTTP/1.1\"") && $0.contains(text) }
    }

    func push(_ image: FixtureImage, as repository: String, tag: String) async throws {
        let base = "\(self.url)/v2/\(repository)"
        for blob in image.blobs {
            let upload = try await Curl.post("\(base)/blobs/uploads/")
            guard let location = upload.headers["location"] else {
                throw ConditionFailure(description: "no upload was opened: \(upload.status)")
            }
            let target = "\(location)&digest=\(blob.digest)"
            let done = try await Curl.put(image.file(blob), to: target, type: "application/octet-stream")
            guard done.status == 201 else { throw ConditionFailure(description: "blob refused: \(done)") }
        }
        for manifest in image.manifests {
            let name = manifest.digest == image.root.digest ? tag : manifest.digest
            let target = "\(base)/manifests/\(name)"
            let done = try await Curl.put(image.file(manifest), to: target, type: manifest.mediaType)
            guard done.status == 201, done.headers["docker-content-digest"] == manifest.digest else {
                throw ConditionFailure(description: "manifest refused: \(done)")
            }
        }
    }

    /// The digest this registry itself reports for a tag.
    func digest(of tag: String, in repository: String) async throws -> String? {
        let url = "\(self.url)/v2/\(repository)/manifests/\(tag)"
        return try await Curl.head(url, headers: ["Accept": Curl.manifestTypes]).headers["docker-content-digest"]
    }

    /// Puts a sparse blob into the storage folder as a push would have, without its bytes being sent or written.
    ///
    /// - Returns: the digest, as sha256sum computes it.
    func addSparseBlob(size: Int, to repository: String) async throws -> String {
        let registry = self.storage.appendingPathComponent("docker/registry/v2")
        let file = registry.appendingPathComponent("sparse")
        try FileManager.default.createDirectory(at: registry, withIntermediateDirectories: true)
        try Data().write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: UInt64(size))
        // A different mark every 16 MiB, so that bytes in the wrong place are wrong bytes.
        for offset in stride(from: 0, to: size - 32, by: 16 << 20) {
            try handle.seek(toOffset: UInt64(offset))
            try handle.write(contentsOf: Data("offset \(offset)".utf8))
        }
        try handle.close()

        let digest = try await FixtureImages.digest(of: file)
        let hex = String(digest.dropFirst("sha256:".count))
        let blob = registry.appendingPathComponent("blobs/sha256/\(hex.prefix(2))/\(hex)")
        let link = registry.appendingPathComponent("repositories/\(repository)/_layers/sha256/\(hex)")
        for folder in [blob, link] {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        try FileManager.default.moveItem(at: file, to: blob.appendingPathComponent("data"))
        try Data(digest.utf8).write(to: link.appendingPathComponent("link"))
        return digest
    }
}
