/// The variables in a value of a Compose file.
///
/// Source: Compose specification, "Interpolation": `$VAR`, `${VAR}`, `:-` and `-` for a default, `:?` and `?` for an error, `:+` and `+`
/// for a replacement, `$$` for a dollar sign. Defaults may have variables of their own.
struct ComposeVariables {
    /// Why there is no value.
    enum Failure: Error, Equatable {
        case unset(String)
        case malformed
    }

    private static let depth = 10
    let environment: [String: String]

    func expand(_ text: String) throws(Failure) -> String { try self.expand(text[...], 0) }

    private func expand(_ text: Substring, _ depth: Int) throws(Failure) -> String {
        guard depth < Self.depth else { throw .malformed }
        var result = ""
        var rest = text
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            switch rest.first {
            case "$":
                result += "$"
                rest = rest.dropFirst()
            case "{":
                guard let end = Self.end(of: rest) else { throw .malformed }
                result += try self.value(rest[rest.index(after: rest.startIndex)..<end], depth)
                rest = rest[rest.index(after: end)...]
            default:
                let name = rest.prefix(while: Self.isNamePart)
                guard !name.isEmpty else { throw .malformed }
                guard let value = self.environment[String(name)] else { throw .unset(String(name)) }
                result += value
                rest = rest[name.endIndex...]
            }
        }
        return result + rest
    }

    /// The closing brace that belongs to the first character.
    private static func end(of text: Substring) -> Substring.Index? {
        var open = 0
        for index in text.indices {
            if text[index] == "{" { open += 1 }
            if text[index] == "}" {
                open -= 1
                if open == 0 { return index }
            }
        }
        return nil
    }

    /// What stands between the braces.
    private func value(_ text: Substring, _ depth: Int) throws(Failure) -> String {
        let name = String(text.prefix(while: Self.isNamePart))
        guard !name.isEmpty else { throw .malformed }
        var rest = text[text.index(text.startIndex, offsetBy: name.count)...]
        var value = self.environment[name]
        if rest.first == ":" {
            rest = rest.dropFirst()
            // With the colon, empty is as good as unset.
            if value?.isEmpty == true { value = nil }
            guard !rest.isEmpty else { throw .malformed }
        }
        switch rest.first {
        case nil:
            guard let value else { throw .unset(name) }
            return value
        case "-":
            if let value { return value }
            return try self.expand(rest.dropFirst(), depth + 1)
        case "+": return value == nil ? "" : try self.expand(rest.dropFirst(), depth + 1)
        case "?":
            guard let value else { throw .unset(name) }
            return value
        default: throw .malformed
        }
    }

    private static func isNamePart(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "_")
    }
}
