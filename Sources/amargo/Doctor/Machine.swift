import Foundation
import Glibc

/// The machine that is looked at: its files, programs and users. Nothing is changed.
struct Machine: Sendable {
    /// In front of every path; empty for the machine itself. Tests lay out a machine in a folder.
    let root: String
    let environment: [String: String]

    init(root: String = "", environment: [String: String] = ProcessInfo.processInfo.environment) {
        self.root = root.hasSuffix("/") ? String(root.dropLast()) : root
        self.environment = environment
    }

    /// Where a path of that machine is.
    func path(_ path: String) -> String { self.root + path }

    func exists(_ path: String) -> Bool { access(self.path(path), F_OK) == 0 }

    /// A small text file of that machine. Blocks.
    func text(_ path: String) throws(TextFile.Failure) -> String { try TextFile.read(self.path(path), limit: 4 << 20) }

    /// The names in a folder, sorted; none when it is missing.
    func entries(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: self.path(path))) ?? []).sorted()  // missing is empty
    }

    /// Whether one of these programs is installed.
    func hasProgram(_ names: String...) -> Bool {
        var folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        if self.root.isEmpty {
            folders += (self.environment["PATH"] ?? "").split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
        }
        return names.contains { name in folders.contains { access(self.path("\($0)/\(name)"), X_OK) == 0 } }
    }

    /// The folders of people who may have configurations of their own: this one's, and for root everybody's.
    var homes: [String] {
        var homes: [String] = []
        if let home = self.environment["HOME"], home.hasPrefix("/") { homes.append(home) }
        if geteuid() == 0 {
            homes += ["/root"] + self.entries("/home").map { "/home/\($0)" }
        }
        var seen: Set<String> = []
        return homes.filter { seen.insert($0).inserted }
    }

    /// The processes of a program, by its name as the kernel has it. Blocks.
    func processes(_ name: String) -> [HostProcess] {
        self.entries("/proc").compactMap { Int32($0) }.compactMap { HostProcess($0, on: self) }.filter { $0.name == name }
    }
}

/// What is to be known of a process that runs.
struct HostProcess: Sendable, Equatable {
    let pid: Int32
    let name: String
    let arguments: [String]
    /// `R`, `S`, `T` for one that is stopped: proc_pid_stat(5).
    let state: Character
    /// Unix seconds; nil when that cannot be told.
    let startedAt: Int64?

    init?(_ pid: Int32, on host: Machine = Machine()) {
        guard let stat = try? host.text("/proc/\(pid)/stat") else { return nil }  // it has ended
        // The name is in parentheses and may have any character in it.
        guard let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        guard fields.count > 19, let state = fields[0].first else { return nil }
        self.pid = pid
        self.name = String(stat[stat.index(after: open)..<close])
        self.state = state
        let command = (try? host.text("/proc/\(pid)/cmdline")) ?? ""  // somebody else's may be closed to us
        self.arguments = command.split(separator: "\0").map(String.init)
        let boot = (try? host.text("/proc/stat"))?.split(separator: "\n").first { $0.hasPrefix("btime ") }
            .flatMap { Int64($0.dropFirst(6)) }
        self.startedAt = boot.flatMap { boot in Int64(fields[19]).map { boot + $0 / Int64(sysconf(CInt(_SC_CLK_TCK))) } }
    }

    var isStopped: Bool { self.state == "T" || self.state == "t" }

    /// For people.
    var description: String { "\(self.name) (pid \(self.pid))" }
}

/// A user of this machine.
struct HostUser: Sendable, Equatable {
    let id: uid_t

    static var current: HostUser { HostUser(id: geteuid()) }

    /// The name, else the number.
    var name: String {
        guard let entry = getpwuid(self.id), let name = entry.pointee.pw_name else { return "\(self.id)" }
        return String(cString: name)
    }

    /// Whether this user may do to a file what `mode` says (4 read, 2 write, 1 search), by its permission bits.
    func may(_ mode: mode_t, _ file: stat) -> Bool {
        if self.id == 0 { return true }
        if file.st_uid == self.id { return file.st_mode >> 6 & mode == mode }
        if self.groups.contains(file.st_gid) { return file.st_mode >> 3 & mode == mode }
        return file.st_mode & mode == mode
    }

    /// Whether this user may read a file, and go through all the folders above it.
    func mayRead(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, self.may(4, status) else { return false }
        var folder = path
        while let slash = folder.lastIndex(of: "/"), folder.count > 1 {
            folder = String(folder[..<slash])
            guard stat(folder.isEmpty ? "/" : folder, &status) == 0, self.may(1, status) else { return false }
        }
        return true
    }

    private var groups: [gid_t] {
        guard let entry = getpwuid(self.id), let name = entry.pointee.pw_name else { return [] }
        var groups = [gid_t](repeating: 0, count: 256)
        var count = CInt(groups.count)
        guard getgrouplist(name, entry.pointee.pw_gid, &groups, &count) >= 0 else { return [entry.pointee.pw_gid] }
        return Array(groups.prefix(Int(count)))
    }
}
