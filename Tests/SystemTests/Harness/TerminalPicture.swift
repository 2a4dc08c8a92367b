import Foundation

/// What a person sees on a terminal, as an SVG picture for the README.
struct TerminalPicture {
    private enum Line {
        case comment(String)
        case command(String)
        case output(String)
    }

    private static let columns = 104
    private static let cell = (width: 7.8, height: 18.0)
    private static let margin = 16.0

    private var lines: [Line] = []
    /// Texts of this run that readers have others for.
    private let replacements: [(text: String, by: String)]

    init(replacing replacements: [(String, String)] = []) {
        self.replacements = replacements
    }

    mutating func comment(_ text: String) {
        if !self.lines.isEmpty { self.lines.append(.output("")) }
        self.lines.append(.comment("# \(text)"))
    }

    /// - Parameters:
    ///   - command: as a reader would type it.
    ///   - output: what the test's own command printed.
    mutating func add(_ command: String, _ output: String, limit: Int = .max) {
        self.lines.append(.command(command))
        let text = self.replacements.reduce(output) { $0.replacingOccurrences(of: $1.text, with: $1.by) }
        let all = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        self.lines += all.prefix(limit).map { .output($0) }
        if all.count > limit { self.lines.append(.output("…")) }
    }

    /// Writes it into the folder that `AMARGO_PICTURES` names; elsewhere nobody wants it.
    func save(_ name: String) throws {
        guard let folder = ProcessInfo.processInfo.environment["AMARGO_PICTURES"] else { return }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(self.svg.utf8).write(to: URL(fileURLWithPath: folder).appendingPathComponent("\(name).svg"))
    }

    var svg: String {
        let width = Double(Self.columns) * Self.cell.width + 2 * Self.margin
        let height = Double(self.lines.count) * Self.cell.height + 2 * Self.margin
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(width))" height="\(Int(height))" viewBox="0 0 \(Int(width)) \(Int(height))">
            <rect width="100%" height="100%" rx="8" fill="#1d1b18"/>
            <g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13">

            """
        for (number, line) in self.lines.enumerated() {
            let y = Int(Self.margin + Double(number + 1) * Self.cell.height - 5)
            switch line {
            case .comment(let comment): text += Self.text(comment, y, "#9c948a")
            case .command(let command):
                text +=
                    "<text x=\"\(Int(Self.margin))\" y=\"\(y)\" fill=\"#f2efe9\"><tspan fill=\"#8fc98f\">$</tspan> \(Self.escaped(command))</text>\n"
            case .output(let output): text += Self.text(output, y, "#cfc9c0")
            }
        }
        return text + "</g>\n</svg>\n"
    }

    private static func text(_ line: String, _ y: Int, _ colour: String) -> String {
        guard !line.isEmpty else { return "" }
        let cut = line.count > Self.columns ? line.prefix(Self.columns - 1) + "…" : line[...]
        return "<text x=\"\(Int(Self.margin))\" y=\"\(y)\" fill=\"\(colour)\">\(Self.escaped(String(cut)))</text>\n"
    }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;")
            // Several spaces would be shown as one.
            .replacingOccurrences(of: " ", with: "\u{A0}")
    }
}
