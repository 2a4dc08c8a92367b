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
}
