import Glibc

/// What the kernel says of this process, by the names that all programs' metrics have for it.
struct ProcessFigures {
    /// Of all threads, user and system.
    let processorSeconds: Double
    let residentBytes: Int64?
    let virtualBytes: Int64?
    let openDescriptors: Int?
    let descriptorLimit: Int?

    /// Looks. Blocks, for as long as it takes to count the open descriptors.
    init() {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        self.processorSeconds = Self.seconds(time)
        // proc(5): pages in all, pages in memory.
        let pages = Self.contents(of: "/proc/self/statm").split(separator: " ").compactMap { Int64($0) }
        let pageSize = Int64(sysconf(CInt(_SC_PAGESIZE)))
        self.virtualBytes = pages.first.map { $0 * pageSize }
        self.residentBytes = pages.count > 1 ? pages[1] * pageSize : nil
        self.openDescriptors = Self.countDescriptors()
        var limit = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        self.descriptorLimit = isKnown ? Int(clamping: limit.rlim_cur) : nil
    }

    /// When this process began, in Unix seconds, as the wall clock is set now: ask once.
    static func startTime() -> Double? {
        // proc(5): the name is in parentheses and may have spaces; the 20th field behind it counts from when the system began.
        let text = Self.contents(of: "/proc/self/stat")
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ")
        guard fields.count > 20, let ticks = Double(fields[20]) else { return nil }
        var now = timespec()
        var sinceBoot = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
        let start = Self.seconds(now) - Self.seconds(sinceBoot) + ticks / Double(sysconf(CInt(_SC_CLK_TCK)))
        return (start * 100).rounded() / 100
    }

    private static func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 }

    private static func countDescriptors() -> Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        // Not the one that looks.
        return count - 1
    }

    /// A small file of the kernel's; empty when there is none.
    private static func contents(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { room, count in
            count = max(0, read(descriptor, room.baseAddress, room.count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
