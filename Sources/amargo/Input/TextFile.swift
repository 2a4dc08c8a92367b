import Glibc

/// Reads a file of text whole, or standard input, with a reason for whatever keeps it from being read.
enum TextFile {
    struct Failure: Error {
        enum Code {
            case unreadable, tooLarge, notText
        }

        let code: Code
        /// What follows "cannot be read: ".
        let reason: String
    }

    /// Blocks.
    ///
    /// - Parameters:
    ///   - path: nil for standard input.
    ///   - limit: bytes that it may have.
    static func read(_ path: String?, limit: Int) throws(Failure) -> String {
        let descriptor = path.map { open($0, O_RDONLY | O_CLOEXEC) } ?? STDIN_FILENO
        guard descriptor >= 0 else { throw Self.failure() }
        defer { if path != nil { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure()
            }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw Failure(code: .tooLarge, reason: "it is larger than \(limit >> 20) MiB") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(code: .notText, reason: "it is not UTF-8")
        }
        return text
    }

    private static func failure() -> Failure {
        let reason =
            switch errno {
            case ENOENT: "there is no such file"
            case EACCES: "permission denied"
            case EISDIR: "it is a folder"
            default: String(cString: strerror(errno)).lowercased()
            }
        return Failure(code: .unreadable, reason: reason)
    }
}
