import Glibc
import OCI

/// Reads a configuration file whole, with a sentence for whatever keeps it from being read.
enum ConfigurationText {
    /// More than any configuration, less than a mistake costs.
    private static let limit = Limits.Process.configuration

    static func read(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(path) }
        defer { close(descriptor) }
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
            guard bytes.count <= Self.limit else {
                throw SettingsError("the configuration \(path) cannot be read: it is larger than 1 MiB")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsError("the configuration \(path) cannot be read: it is not UTF-8")
        }
        return text
    }

    private static func failure(_ path: String) -> SettingsError {
        let reason =
            switch errno {
            case ENOENT: "there is no such file"
            case EACCES: "permission denied"
            case EISDIR: "it is a folder"
            default: String(cString: strerror(errno)).lowercased()
            }
        return SettingsError("the configuration \(path) cannot be read: \(reason)")
    }
}
