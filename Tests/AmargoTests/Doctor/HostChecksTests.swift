import Foundation
import Glibc
import TestSupport
import Testing

@testable import amargo

/// What is measured of the machine: mounts, room, limits, ports.
struct HostChecksTests {
    // MARK: - File systems

    private static let mounts = """
        22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
        30 22 0:26 / /tmp rw,nosuid shared:5 - tmpfs tmpfs rw,size=1g
        41 22 0:40 / /srv/share\\040one rw,relatime - nfs4 server:/export rw,vers=4.2
        42 22 8:1 / /mnt/ro ro,relatime - xfs /dev/sda1 rw
        43 22 8:2 / /mnt/stick rw - vfat /dev/sdb1 rw
        44 22 0:50 / /var/lib/containers rw - overlay overlay rw,lowerdir=/a
        45 22 8:3 / /mnt/ro/inner rw - btrfs /dev/sdc1 rw
        """

    @Test(
        "the mount of a path is the longest above it",
        arguments: [
            ("/var/lib/amargo", "/", "ext4"), ("/tmp", "/tmp", "tmpfs"), ("/tmpx", "/", "ext4"),
            ("/srv/share one/store", "/srv/share one", "nfs4"), ("/mnt/ro/inner/x", "/mnt/ro/inner", "btrfs"),
        ])
    func mount(_ path: String, _ point: String, _ type: String) throws {
        let mount = try #require(Mount.holding(path, in: Self.mounts))
        #expect(mount.point == point)
        #expect(mount.type == type)
    }

    @Test(
        "file systems that are no place for a store",
        arguments: [
            ("/", Diagnosis.Verdict.ok, "ext4"), ("/tmp", .warning, "memory"), ("/srv/share one", .warning, "network"),
            ("/mnt/ro", .problem, "read-only"), ("/mnt/stick", .warning, "hard links"),
            ("/var/lib/containers", .warning, "container's own"),
        ])
    func fileSystems(_ point: String, _ verdict: Diagnosis.Verdict, _ words: String) throws {
        // The path is real, where it leads is not: everything is mounted at the root.
        let line = try #require(
            Self.mounts.split(separator: "\n").first { $0.contains(" \(point.replacingOccurrences(of: " ", with: "\\040")) ") })
        let atRoot = line.replacingOccurrences(of: " / \(point.replacingOccurrences(of: " ", with: "\\040")) ", with: " / / ")
        let found = MountCheck(path: "/", mounts: { atRoot }).look()
        #expect(found.map(\.verdict) == [verdict])
        #expect(found.text.contains(words), "\(found.text)")
    }

    // MARK: - Room

    private static let plenty = SpaceCheck.Numbers(
        size: 100_000_000_000, available: 50_000_000_000, files: 1_000_000, availableFiles: 900_000)

    private static func space(_ store: String, _ change: (inout SpaceCheck.Numbers) -> Void = { _ in }) throws -> [Diagnosis] {
        var numbers = Self.plenty
        change(&numbers)
        let settings = try ConfigurationFileTests.read("store:\n\(store)")
        let fixed = numbers
        return SpaceCheck(settings: settings, measure: { _ in fixed }).look()
    }

    @Test("free space beside minFree")
    func free() throws {
        #expect(try Self.space("  minFree: 5GB").map(\.verdict) == [.ok, .ok, .ok])
        let low = try Self.space("  minFree: 5GB") { $0.available = 4_999_999_999 }
        #expect(low.verdicts("space.free") == [.problem])
        #expect(low.text.contains("4.9 GB of 100 GB are free, less than minFree (5 GB)"))
        #expect(low.text.contains("store.minFree (/etc/amargo.yaml, line 2)"))
        #expect(try Self.space("  minFree: 5GB") { $0.available = 9_999_999_999 }.verdicts("space.free") == [.warning])
    }

    @Test("a cap larger than the disk, and none on a full one")
    func cap() throws {
        #expect(try Self.space("  maxSize: 80GB").verdicts("space.cap") == [.ok])
        let large = try Self.space("  maxSize: 1TB")
        #expect(large.verdicts("space.cap") == [.warning])
        // Eight tenths of what is left when minFree (1 GB) is taken away.
        #expect(large.text.contains("set maxSize: \"79.2GB\" in store.maxSize (/etc/amargo.yaml, line 2)"), "\(large.text)")
        let full = try Self.space("  maxSize: 0") { $0.available = 14_000_000_000 }
        #expect(full.verdicts("space.cap") == [.warning])
        #expect(full.text.contains("86 % full"))
        let tiny = try Self.space("  minFree: 200GB")
        #expect(tiny.verdicts("space.free") == [.problem])
        #expect(tiny.verdicts("space.cap") == [.ok], "no cap is none that cannot be reached")
    }

    @Test("inodes, where there is a number of them")
    func inodes() throws {
        #expect(try Self.space("  maxSize: 0") { $0.availableFiles = 40_000 }.verdicts("space.inodes") == [.warning])
        #expect(try Self.space("  maxSize: 0") { $0.availableFiles = 500 }.verdicts("space.inodes") == [.problem])
        #expect(try Self.space("  maxSize: 0") { ($0.files, $0.availableFiles) = (0, 0) }.verdicts("space.inodes") == [.ok])
    }

    @Test("the real numbers of a real file system")
    func measured() throws {
        let numbers = try #require(SpaceCheck.Numbers(of: "/"))
        #expect(numbers.size > 0)
        #expect(numbers.available <= numbers.size)
        #expect(SpaceCheck.Numbers(of: "/no/such/place") == nil)
    }

    // MARK: - Limits

    @Test("descriptors: all connections, few, hardly any")
    func descriptors() {
        #expect(LimitsCheck.judge(65_536, who: "x").verdict == .ok)
        #expect(LimitsCheck.judge(4096, who: "x").verdict == .note)
        #expect(LimitsCheck.judge(256, who: "x").verdict == .warning)
        let limits =
            "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n"
        #expect(LimitsCheck.openFiles(in: limits) == 1024)
    }

    @Test("memory as the kernel counts it, in KiB")
    func memory() {
        let text = "MemTotal:        8000000 kB\nMemFree:          100000 kB\nMemAvailable:     KB kB\n"
        #expect(LimitsCheck.judgeMemory(text.replacingOccurrences(of: "KB", with: "4000000"))?.verdict == .ok)
        #expect(LimitsCheck.judgeMemory(text.replacingOccurrences(of: "KB", with: "200000"))?.verdict == .warning)
        #expect(LimitsCheck.judgeMemory("") == nil)
    }

    // MARK: - Addresses

    // From a machine: 127.0.0.1:3000 and [::]:22 listen, the second line is a connection.
    private static let tcp = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0
           1: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1 0000000000000000 20 4 30 10 -1
        """
    private static let tcp6 = """
          sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 0
        """

    @Test("listening sockets, as the kernel lists them on a little-endian machine")
    func holders() {
        #expect(
            PortHolder.listening(in: Self.tcp) == [PortHolder(address: [127, 0, 0, 1], port: 3000, user: 1000, inode: 12345)])
        let six = PortHolder.listening(in: Self.tcp6)
        #expect(six == [PortHolder(address: [UInt8](repeating: 0, count: 16), port: 22, user: 0, inode: 777)])
        #expect(six[0].blocks([127, 0, 0, 1]), "a socket on [::] takes IPv4 as well")
        #expect(!PortHolder(address: [127, 0, 0, 1], port: 1, user: 0, inode: 1).blocks([127, 0, 0, 2]))
    }

    @Test("who listens on a port is found by its socket")
    func process() throws {
        let upstream = try ScriptedUpstream()
        let holder = try #require(PortHolder.all().first { $0.port == upstream.port && $0.address == [127, 0, 0, 1] })
        #expect(holder.process()?.pid == getpid())
        #expect(holder.user == geteuid())
        let found = try Self.listen("server: { listen: \"127.0.0.1:\(upstream.port)\" }", holders: [holder])
        #expect(found.verdicts("server.listen") == [.problem])
        #expect(found.text.contains("(pid \(getpid()))"), "this is not Amargo")
    }

    private static func listen(_ text: String, holders: [PortHolder] = [], user: uid_t = 1000) throws -> [Diagnosis] {
        ListenCheck(
            settings: try ConfigurationFileTests.read(text), user: HostUser(id: user), holders: { holders },
            own: { [[192, 168, 1, 5]] }, lowestPort: 1024
        ).look()
    }

    @Test(
        "addresses that cannot be listened on",
        arguments: [
            ("127.0.0.1:3000", Diagnosis.Verdict.note, "nobody listens there"), ("192.168.1.5:3000", .note, "nobody"),
            ("192.168.1.6:3000", .problem, "no such address"), ("127.0.0.1:80", .warning, "need a privilege"),
            ("127.0.0.1:0", .warning, "at each start"), ("no..such..host:80", .problem, "cannot be resolved"),
        ])
    func addresses(_ address: String, _ verdict: Diagnosis.Verdict, _ words: String) throws {
        let found = try Self.listen("server: { listen: \"\(address)\" }")
        #expect(found.verdicts("server.listen", of: address) == [verdict])
        #expect(found.text.contains(words))
    }

    @Test("root may take any port")
    func privileged() throws {
        #expect(try Self.listen("server: { listen: \"127.0.0.1:80\" }", user: 0).verdicts("server.listen") == [.note])
    }

    @Test("who else is served: nobody, everybody, with names or with your credentials")
    func exposure() throws {
        #expect(try Self.listen("server: { operations: all }").verdicts("server.access") == [.ok], "loopback alone")
        #expect(try Self.listen("server: { listen: \"0.0.0.0:3000\" }").verdicts("server.access") == [.note])
        let open = try Self.listen("server:\n  listen: \"0.0.0.0:3000\"\n  operations: all")
        #expect(open.verdicts("server.access") == [.warning])
        #expect(open.text.contains("Set operations: loopback (/etc/amargo.yaml, line 3)"))
        let secret = "repositories: { docker: { credentials: { username: u, password: canary-password } } }"
        let lent = try Self.listen("server: { listen: \"192.168.1.5:3000\" }\n\(secret)")
        #expect(lent.verdicts("server.access") == [.warning])
        #expect(!lent.text.contains("canary"))
    }
}
