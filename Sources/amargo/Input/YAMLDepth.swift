import OCI

/// Refuses documents before they are parsed that would take the parser deeper, or further, than any manifest does: it recurses, and
/// compares keys by all that is behind their aliases.
///
/// Counted on the text alone, and on the safe side: brackets in texts count, too.
struct YAMLDepth {
    /// More indentation, in columns, than anybody has seen.
    private static let indentation = 1000
    /// Aliases beyond which keys must be plain: only many of them make much of little.
    private static let aliases = 8

    private let source: String
    private var line = 1
    /// Brackets that are open, but for those of `${…}`.
    private var brackets = 0
    private var variables = 0
    private var aliases = 0
    private var oddKeyLine: Int?

    static func check(_ text: String, _ source: String) throws {
        var depth = YAMLDepth(source)
        for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            try depth.read(Array(line))
            depth.line += 1
        }
        if depth.aliases > Self.aliases, let line = depth.oddKeyLine {
            throw ListError("\(source), line \(line): a key is an alias, a list or a mapping, which no manifest needs")
        }
    }

    /// Where on a line the last alias is.
    private enum Alias {
        case none, name, behind
    }

    private init(_ source: String) {
        self.source = source
    }

    private func tooDeep() -> ListError {
        ListError("\(self.source), line \(self.line): this is nested deeper than any manifest")
    }

    private mutating func read(_ line: [UInt8]) throws {
        if line.starts(with: "---".utf8) { (self.brackets, self.variables) = (0, 0) }
        try self.checkLead(line)
        var last = UInt8(ascii: " ")
        var alias = Alias.none
        // A list or a mapping that is a key begins its line, or stands in another one.
        let first = line.first { !Self.isBlank($0) && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "?") }
        let mayBeKey = first == UInt8(ascii: "[") || first == UInt8(ascii: "{")
        for index in line.indices {
            let byte = line[index]
            let variables = self.variables
            let next = index + 1 < line.count ? line[index + 1] : UInt8(ascii: " ")
            switch byte {
            case UInt8(ascii: "{") where index > 0 && line[index - 1] == UInt8(ascii: "$"): self.variables += 1
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                self.brackets += 1
                guard self.brackets <= 2 * Limits.Warming.depth else { throw self.tooDeep() }
            case UInt8(ascii: "}") where self.variables > 0: self.variables -= 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): self.brackets = max(0, self.brackets - 1)
            case UInt8(ascii: "*") where Self.isStart(index > 0 ? line[index - 1] : last) && Self.isName(next):
                self.aliases += 1
                alias = .name
            case UInt8(ascii: ":") where Self.isBlank(next) || self.brackets > 0:
                let isBehindBracket = last == UInt8(ascii: "]") || last == UInt8(ascii: "}")
                let isOdd = alias != .none || isBehindBracket && (mayBeKey || self.brackets > 0)
                if isOdd, self.oddKeyLine == nil { self.oddKeyLine = self.line }
            case UInt8(ascii: "?") where Self.isBlank(next) && (Self.isStart(last) || last == UInt8(ascii: "-")):
                if self.oddKeyLine == nil { self.oddKeyLine = self.line }
            case _ where Self.isBlank(byte): if alias == .name { alias = .behind }
            case _ where Self.isName(byte): if alias == .behind { alias = .none }
            default: alias = .none
            }
            // What ends a variable is the end of no list.
            let endsVariable = byte == UInt8(ascii: "}") && self.variables < variables
            if !Self.isBlank(byte) { last = endsVariable ? UInt8(ascii: "$") : byte }
        }
    }

    /// What stands before the first value of a line says how deep that is.
    private func checkLead(_ line: [UInt8]) throws {
        var dashes = 0
        var columns = 0
        for byte in line {
            columns += 1
            if byte == UInt8(ascii: "-") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: ":") {
                // A rule of dashes is a text; each of these has a space behind it.
                guard columns < line.count, Self.isBlank(line[columns]) else { return }
                dashes += 1
            } else if !Self.isBlank(byte) {
                return
            }
            if dashes > Limits.Warming.depth || columns > Self.indentation { throw self.tooDeep() }
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

    /// Whether a value may begin behind this byte.
    private static func isStart(_ byte: UInt8) -> Bool {
        self.isBlank(byte) || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") || byte == UInt8(ascii: ",")
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: byte >= 0x80
        }
    }
}
