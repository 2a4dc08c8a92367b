import Glibc
import OCI
import Storage

/// How many files the server may open, and whether there is memory for it.
struct LimitsCheck: BlockingCheck {
    let id = "process.descriptors"
    let storePath: String
    var host = Machine()

    func look() -> [Diagnosis] { [self.descriptors, self.memory].compactMap { $0 } }

    private var descriptors: Diagnosis {
        if let pid = self.server, let text = try? self.host.text("/proc/\(pid)/limits"), let count = Self.openFiles(in: text) {
            return Self.judge(count, who: "the running server")
        }
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return Diagnosis(self.id, .note, "the limit cannot be read")
        }
        // A server takes all that the hard limit allows.
        return Self.judge(Int(min(limit.rlim_max, rlim_t(Limits.Process.descriptors))), who: "a server started from here")
    }

    /// The server that has the store open.
    private var server: Int32? {
        guard let root = try? StoreRoot(folder: self.storePath), case .held(let holder)? = try? StoreLock.state(in: root),
            holder.hasPrefix("amargo serve ")
        else { return nil }
        return StoreHolderCheck.pid(in: holder)
    }

    static func judge(_ count: Int, who: String) -> Diagnosis {
        let budget = DescriptorBudget(total: count)
        let text = "\(who) may open \(count) files: \(budget.clients) connections at a time"
        guard !budget.isComplete else { return Diagnosis("process.descriptors", .ok, text) }
        return Diagnosis(
            "process.descriptors", budget.clients < 256 ? .warning : .note, text,
            "For all \(Limits.Server.connections) of them: LimitNOFILE=65536 in the service, or ulimit -Hn 65536")
    }

    /// The soft limit in `/proc/PID/limits`.
    static func openFiles(in limits: String) -> Int? {
        guard let line = limits.split(separator: "\n").first(where: { $0.hasPrefix("Max open files") }) else { return nil }
        return line.dropFirst("Max open files".count).split(separator: " ").first.flatMap { Int($0) }
    }

    private var memory: Diagnosis? {
        guard let text = try? self.host.text("/proc/meminfo") else { return nil }  // there is no telling
        return Self.judgeMemory(text)
    }

    static func judgeMemory(_ meminfo: String) -> Diagnosis? {
        func bytes(_ key: String) -> Int64? {
            meminfo.split(separator: "\n").first { $0.hasPrefix("\(key):") }?.split(separator: " ").dropFirst().first
                .flatMap { Int64($0) }.map { $0 << 10 }
        }
        guard let total = bytes("MemTotal"), let available = bytes("MemAvailable") else { return nil }
        let text = "\(Quantity.describe(bytes: available)) of \(Quantity.describe(bytes: total)) are available"
        guard available < 256 << 20 else { return Diagnosis("process.memory", .ok, text) }
        return Diagnosis(
            "process.memory", .warning, text,
            "Amargo itself needs some 100 MB; the kernel may end it when there is none: dmesg | grep -i oom")
    }
}
