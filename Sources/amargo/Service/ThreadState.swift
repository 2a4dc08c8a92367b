import Glibc

/// What one thread of this process is doing, as the kernel sees it: proc_pid_stat(5).
struct ThreadState: Hashable, Sendable {
    enum Condition: Hashable, Sendable {
        case computing
        /// In an uninterruptible sleep: the kernel waits for a device or a file server.
        case waitingForDisk
        /// For a lock, a socket, a timer, or for something to do.
        case waiting
    }

    /// Its name, of which the kernel keeps fifteen bytes.
    let name: String
    let condition: Condition

    /// As NIO names them.
    var isOfLoop: Bool { self.name.hasPrefix("NIO-ELT-") }
    var isOfPool: Bool { self.name.hasPrefix("TP-#") }

    init(name: String, condition: Condition) {
        self.name = name
        self.condition = condition
    }

    /// Parses a line such as `4711 (TP-#3) S 1 …`; the name may hold anything, parentheses too.
    init?(stat line: String) {
        guard let start = line.firstIndex(of: "("), let end = line.lastIndex(of: ")"), start < end else { return nil }
        let rest = line[line.index(after: end)...].split(separator: " ")
        guard let letter = rest.first else { return nil }
        self.name = String(line[line.index(after: start)..<end])
        self.condition =
            switch letter {
            case "R": .computing
            case "D": .waitingForDisk
            default: .waiting
            }
    }

    /// All threads of this process.
    static func all() -> [ThreadState] {
        guard let folder = opendir("/proc/self/task") else { return [] }
        defer { closedir(folder) }
        var states: [ThreadState] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard !name.hasPrefix("."), let line = Self.text("/proc/self/task/\(name)/stat") else { continue }
            if let state = ThreadState(stat: line) { states.append(state) }
        }
        return states
    }

    private static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }  // the thread has ended
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = read(descriptor, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
