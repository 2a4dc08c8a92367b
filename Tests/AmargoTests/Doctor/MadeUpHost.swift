import Foundation
import TestSupport

@testable import amargo

/// A machine in a temporary folder: files, programs and nothing that runs.
final class MadeUpHost: Sendable {
    let folder: TemporaryDirectory

    init(programs: [String] = [], _ files: [String: String] = [:]) throws {
        self.folder = try TemporaryDirectory()
        for program in programs { try self.write("/usr/bin/\(program)", "#!/bin/sh\n", mode: 0o755) }
        for (path, text) in files { try self.write(path, text) }
    }

    var host: Machine { Machine(root: self.folder.path, environment: ["HOME": "/home/me", "PATH": "/usr/bin"]) }

    func write(_ path: String, _ text: String, mode: Int = 0o644) throws {
        let url = URL(fileURLWithPath: self.folder.path + path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: url.path)
    }

    func path(_ path: String) -> String { self.folder.path + path }
}

extension [Diagnosis] {
    /// The verdicts of one id, in order.
    func verdicts(_ id: String, of subject: String? = nil) -> [Diagnosis.Verdict] {
        self.filter { $0.id == id && (subject == nil || $0.subject == subject) }.map(\.verdict)
    }

    /// All that is said, to look for words.
    var text: String { self.map { ([$0.finding] + $0.advice).joined(separator: "\n") }.joined(separator: "\n") }
}
