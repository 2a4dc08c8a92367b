import OCI

/// Something that an administrative request has to say: a line of JSON on `amargo.sock`, and what a command prints.
package struct AdminEvent: Hashable, Sendable {
    package enum Value: Hashable, Sendable {
        case text(String)
        case number(Int64)
        case list([String])
        case flag(Bool)
    }

    package let kind: String
    /// In the order in which they were written.
    package private(set) var fields: [(key: String, value: Value)] = []

    package init(_ kind: String) {
        self.kind = kind
    }

    package func with(_ key: String, _ value: String) -> AdminEvent { self.adding(key, .text(value)) }
    package func with(_ key: String, _ value: Int64) -> AdminEvent { self.adding(key, .number(value)) }
    package func with(_ key: String, _ value: [String]) -> AdminEvent { self.adding(key, .list(value)) }
    package func with(_ key: String, _ value: Bool) -> AdminEvent { self.adding(key, .flag(value)) }

    private func adding(_ key: String, _ value: Value) -> AdminEvent {
        var event = self
        event.fields.append((key, value))
        return event
    }

    private subscript(key: String) -> Value? { self.fields.first { $0.key == key }?.value }

    package func text(_ key: String) -> String? {
        guard case .text(let text) = self[key] else { return nil }
        return text
    }

    package func number(_ key: String) -> Int64 {
        guard case .number(let number) = self[key] else { return 0 }
        return number
    }

    package func list(_ key: String) -> [String] {
        guard case .list(let list) = self[key] else { return [] }
        return list
    }

    package func flag(_ key: String) -> Bool { self[key] == .flag(true) }

    package static func == (left: AdminEvent, right: AdminEvent) -> Bool { left.json == right.json }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.json) }

    // MARK: - JSON

    /// One line, without its end.
    package var json: String {
        let members = self.fields.map { key, value in
            let text =
                switch value {
                case .text(let text): JSONText.quoted(text)
                case .number(let number): String(number)
                case .list(let list): "[\(list.map(JSONText.quoted).joined(separator: ","))]"
                case .flag(let flag): String(flag)
                }
            return ",\(JSONText.quoted(key)):\(text)"
        }
        return "{\"kind\":\(JSONText.quoted(self.kind))\(members.joined())}"
    }

    /// Reads a line; what is nested deeper than a list of texts is skipped.
    package init(parsing line: [UInt8]) throws {
        var kind = ""
        var fields: [(String, Value)] = []
        try line.withUnsafeBytes { line in
            try JSONReader.read(line) { reader in
                try reader.object { reader, key in
                    switch try reader.peek() {
                    case .string:
                        let text = try reader.string()
                        if key == "kind" { kind = text } else { fields.append((key, .text(text))) }
                    case .number: fields.append((key, .number(try reader.integer())))
                    case .boolean: fields.append((key, .flag(try reader.boolean())))
                    case .array:
                        var list: [String] = []
                        try reader.array { reader in
                            if try reader.peek() == .string { list.append(try reader.string()) } else { try reader.skipValue() }
                        }
                        fields.append((key, .list(list)))
                    default: try reader.skipValue()
                    }
                }
            }
        }
        self.kind = kind
        for (key, value) in fields { self.fields.append((key, value)) }
    }
}
