import Glibc
import OCI

/// Reads a configuration file whole, with a sentence for whatever keeps it from being read.
enum ConfigurationText {
    static func read(_ path: String) throws -> String {
        do {
            // The limit is more than any configuration, less than a mistake costs.
            return try TextFile.read(path, limit: Limits.Process.configuration)
        } catch {
            throw SettingsError("the configuration \(path) cannot be read: \(error.reason)")
        }
    }

    /// Refuses what can be read once only, such as a pipe: read again it would be empty, which is a configuration too, or never end.
    static func checkIsReadableAgain(_ path: String) throws {
        var status = stat()
        // What is missing, or no file for another reason, is said best by reading it.
        guard stat(path, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else { return }
        throw SettingsError(
            "the configuration \(path) cannot be read: it is no file, so it was read when Amargo started and not again; restart Amargo"
        )
    }
}
