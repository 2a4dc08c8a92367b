import Glibc
import OCI

/// Reads a file that names images, or standard input, with a sentence for whatever keeps it from being read.
enum ListFile {
    static func read(_ path: String) throws -> String {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(path) }
        defer { if path != "-" { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure(path)
            }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= Limits.Warming.list else {
                throw ListError("\(Self.name(path)) is larger than \(Limits.Warming.list >> 20) MiB; is it a list of images?")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ListError("\(Self.name(path)) is not UTF-8; is it a list of images?")
        }
        return text
    }

    private static func name(_ path: String) -> String { path == "-" ? "standard input" : path }

    private static func failure(_ path: String) -> ListError {
        let reason =
            switch errno {
            case ENOENT: "there is no such file"
            case EACCES: "permission denied"
            case EISDIR: "it is a folder"
            default: String(cString: strerror(errno)).lowercased()
            }
        return ListError("\(Self.name(path)) cannot be read: \(reason)")
    }
}
