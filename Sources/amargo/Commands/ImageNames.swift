import ArgumentParser
import Foundation

/// Images named one by one or in lists.
enum ImageNames {
    /// What was written on the command line, and then what the lists say; `-` is a list on standard input. Blocks.
    static func expand(_ names: [String], lists: [String]) throws -> [String] {
        var all: [String] = []
        for name in names { all += name == "-" ? try Self.list("-") : [name] }
        for list in lists { all += try Self.list(list) }
        guard !all.isEmpty else { throw ValidationError("The list names no image.") }
        return all
    }

    /// One name a line; what follows a `#` at the beginning or behind a space is a comment.
    static func parse(_ text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard let first = words.first, !first.hasPrefix("#") else { return nil }
            return String(first)
        }
    }

    private static func list(_ path: String) throws -> [String] {
        if path == "-" { return Self.parse(String(decoding: try FileHandle.standardInput.readToEnd() ?? Data(), as: UTF8.self)) }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ValidationError("The list \(path) cannot be read.")
        }
        return Self.parse(String(decoding: data, as: UTF8.self))
    }
}
