import Glibc
import Synchronization

/// Lines at the end of a terminal that are written again and again in their place.
///
/// Nothing of the terminal is changed that would have to be restored: no mode, no hidden cursor. What else is written goes in front
/// of the block, by `above`.
final class ProgressBlock: Sendable {
    private struct State {
        /// Lines that stand on the terminal now.
        var shown = 0
        var lines: [String] = []
    }

    private let descriptor: CInt
    private let state = Mutex(State())
    /// Whether there is a terminal to write on.
    let isActive: Bool

    init(on descriptor: CInt = STDERR_FILENO) {
        self.descriptor = descriptor
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? false
        self.isActive = isatty(descriptor) == 1 && !isDumb
    }

    /// Lines for which there is room.
    var height: Int { max(1, Self.size(of: self.descriptor).rows - 1) }

    /// Puts these lines in the place of those that are there, as many as fit, each cut to the terminal's width.
    func show(_ lines: [String]) {
        guard self.isActive else { return }
        self.state.withLock { state in
            state.lines = lines
            self.redraw(&state)
        }
    }

    /// Writes something else, with the block out of the way.
    func above(_ write: () -> Void) {
        self.state.withLock { state in
            self.clear(&state)
            write()
            if self.isActive, !state.lines.isEmpty { self.redraw(&state) }
        }
    }

    /// Takes the block away.
    func end() {
        self.state.withLock { state in
            state.lines = []
            self.clear(&state)
        }
    }

    private func redraw(_ state: inout State) {
        let (columns, rows) = Self.size(of: self.descriptor)
        // The last line is the one that matters most.
        let lines = state.lines.suffix(max(1, rows - 1))
        var text = Self.up(state.shown)
        for line in lines { text += "\(Self.cut(line, to: columns - 1))\u{1B}[K\n" }
        text += "\u{1B}[J"
        StandardStreams.write(text, to: self.descriptor)
        state.shown = lines.count
    }

    private func clear(_ state: inout State) {
        guard state.shown > 0 else { return }
        StandardStreams.write("\(Self.up(state.shown))\u{1B}[J", to: self.descriptor)
        state.shown = 0
    }

    private static func up(_ lines: Int) -> String { lines > 0 ? "\r\u{1B}[\(lines)A" : "\r" }

    /// Cuts in the middle, so that both what it is and how far it is stays: names are long, and numbers stand at the end.
    static func cut(_ line: String, to width: Int) -> String {
        guard line.count > width else { return line }
        guard width > 12 else { return String(line.prefix(max(0, width))) }
        let tail = min(line.count / 2, width * 2 / 3)
        return "\(line.prefix(width - tail - 1))…\(line.suffix(tail))"
    }

    private static func size(of descriptor: CInt) -> (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (80, 24) }
        return (Int(size.ws_col), size.ws_row > 0 ? Int(size.ws_row) : 24)
    }
}
