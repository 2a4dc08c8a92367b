import Foundation

/// A store as the disk shows it, with no Amargo in between.
struct StoreFiles: Sendable {
    let url: URL

    /// Every file below `blobs/sha256/xx/`.
    func blobs() throws -> [URL] {
        let shards = self.url.appendingPathComponent("blobs/sha256")
        guard FileManager.default.fileExists(atPath: shards.path) else { return [] }
        return try self.files(below: shards)
    }

    /// The blobs whose content is not what their name says, by sha256sum's word.
    func damagedBlobs() async throws -> [String] {
        var damaged: [String] = []
        for blob in try self.blobs() {
            let name = blob.lastPathComponent
            let digest = try await FixtureImages.digest(of: blob)
            if digest != "sha256:\(name)" || blob.deletingLastPathComponent().lastPathComponent != name.prefix(2) {
                damaged.append(blob.path)
            }
        }
        return damaged
    }

    /// How much has been downloaded, finished or not.
    func bytes() throws -> Int {
        try ["blobs", "spool"].reduce(0) { sum, name in
            let folder = self.url.appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: folder.path) else { return sum }
            return try self.files(below: folder).reduce(sum) { sum, file in
                // A spool file may be renamed or removed between the listing and the question.
                sum + ((try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0)
            }
        }
    }

    private func files(below folder: URL) throws -> [URL] {
        guard let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) else { return [] }
        return files.compactMap { $0 as? URL }.filter { $0.isRegularFile }
    }

    /// Path and content of every file, to compare before and after.
    static func snapshot(of folder: URL) async throws -> String {
        let script = """
            cd "$1" && find . ! -type s -printf '%p %y %m\\n' | sort && \
            find . -type f -print0 | sort -z | xargs -0 --no-run-if-empty sha256sum
            """
        return try await Command(.shell, ["-c", script, "sh", folder.path]).run().text
    }
}

extension URL {
    fileprivate var isRegularFile: Bool {
        // Gone between the listing and the question: no file.
        (try? self.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) ?? false
    }
}
