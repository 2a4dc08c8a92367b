import ArgumentParser
import Foundation

/// Images named one by one or in lists, for commands that look at what is stored.
enum ImageNames {
    /// What was written on the command line, and then what the lists say; `-` is a list on standard input. Blocks.
    ///
    /// - Throws: `ValidationError` for a list that cannot be read or has something in it that is no image.
    static func expand(_ names: [String], lists: [String]) throws -> [String] {
        var all: [String] = []
        for name in names { all += name == "-" ? try Self.list("-") : [name] }
        for list in lists { all += try Self.list(list) }
        guard !all.isEmpty else { throw ValidationError("The list names no image.") }
        return all
    }

    private static func list(_ path: String) throws -> [String] {
        let source = path == "-" ? "standard input" : path
        let list: ImageList
        do {
            list = try ImageList(try ListFile.read(path), source: source, environment: ProcessInfo.processInfo.environment)
        } catch let error as ListError {
            throw ValidationError(error.description)
        }
        if let problem = list.problems.first { throw ValidationError(problem) }
        return list.entries.map(\.name)
    }
}
