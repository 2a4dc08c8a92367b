import Glibc

/// What the place that results go to can show.
struct TerminalShape {
    let columns: Int
    /// Whether characters beyond ASCII mean what they should, by the locale.
    let isUnicode: Bool

    init(columns: Int, isUnicode: Bool) {
        self.columns = columns
        self.isUnicode = isUnicode
    }

    /// Of standard output. What is no terminal has 100 columns, unless COLUMNS says otherwise.
    static var output: TerminalShape {
        var size = winsize()
        let asked = Self.variable("COLUMNS").flatMap { Int($0) }.flatMap { (20...1000).contains($0) ? $0 : nil }
        let isTerminal = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return TerminalShape(columns: isTerminal ? Int(size.ws_col) : asked ?? 100, isUnicode: Self.isLocaleUnicode)
    }

    /// POSIX, "Environment Variables": the first of these that is set and not empty holds.
    private static var isLocaleUnicode: Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { Self.variable($0) }.first ?? ""
        let text = locale.lowercased()
        return text.contains("utf-8") || text.contains("utf8")
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// A bar of some columns, of which a share is filled: in eighths of a column where there are characters for it.
    func bar(_ part: Int64, of whole: Int64, columns: Int) -> String {
        guard part > 0, whole > 0, columns > 0 else { return "" }
        let steps = self.isUnicode ? 8 : 1
        let share = min(1, Double(part) / Double(whole))
        // What is there shows, however little it is.
        let filled = max(1, Int((share * Double(columns * steps)).rounded()))
        guard self.isUnicode else { return String(repeating: "#", count: filled) }
        let rest = filled % 8
        return String(repeating: "█", count: filled / 8) + (rest > 0 ? String(Self.eighths[rest - 1]) : "")
    }

    private static let eighths = Array("▏▎▍▌▋▊▉")

    /// Cuts in the middle, as both ends of a name say something.
    func cut(_ text: String, to columns: Int) -> String {
        guard text.count > columns else { return text }
        let mark = self.isUnicode ? "…" : "~"
        guard columns > 4 else { return String(text.prefix(max(0, columns))) }
        let tail = columns / 2
        return "\(text.prefix(columns - tail - 1))\(mark)\(text.suffix(tail))"
    }
}
