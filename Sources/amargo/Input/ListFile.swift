import OCI

/// Reads a file that names images, or standard input, with a sentence for whatever keeps it from being read.
enum ListFile {
    static func read(_ path: String) throws -> String {
        let name = path == "-" ? "standard input" : path
        do {
            return try TextFile.read(path == "-" ? nil : path, limit: Limits.Warming.list)
        } catch {
            switch error.code {
            case .unreadable: throw ListError("\(name) cannot be read: \(error.reason)")
            case .tooLarge: throw ListError("\(name) is larger than \(Limits.Warming.list >> 20) MiB; is it a list of images?")
            case .notText: throw ListError("\(name) is not UTF-8; is it a list of images?")
            }
        }
    }
}
