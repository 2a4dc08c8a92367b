import Foundation
import Glibc

/// The file system that the store is on.
struct MountCheck: BlockingCheck {
    let id = "store.file-system"
    let path: String
    var mounts: @Sendable () -> String = { (try? Machine().text("/proc/self/mountinfo")) ?? "" }

    func look() -> [Diagnosis] {
        guard let mount = Mount.holding(Mount.existing(self.path), in: self.mounts()) else { return [] }
        let what = "\(mount.type) on \(mount.point)"
        if mount.isReadOnly {
            return [
                Diagnosis(
                    self.id, .problem, "\(what) is mounted read-only: what is pulled is not stored",
                    "mount -o remount,rw \(mount.point). When the kernel did that, the disk has failed: dmesg")
            ]
        }
        switch mount.kind {
        case .local: return [Diagnosis(self.id, .ok, what)]
        case .network:
            return [
                Diagnosis(
                    self.id, .warning, "\(what) is a network file system: locks and syncs may not be what they are on a disk",
                    "Use a disk of this host for the store; carry images elsewhere with amargo export.")
            ]
        case .memory:
            return [
                Diagnosis(
                    self.id, .warning,
                    "\(what) is memory: what is stored is gone with the next boot, and takes the programs' room",
                    "Name a folder on a disk: store.path")
            ]
        case .layer:
            return [
                Diagnosis(
                    self.id, .warning, "\(what) is a container's own layer: what is stored is gone with the container",
                    "Mount a volume there: docker run -v amargo:\(self.path)")
            ]
        case .foreign:
            return [
                Diagnosis(
                    self.id, .warning, "\(what) knows no owners and no hard links", "Use ext4, xfs or btrfs for the store.")
            ]
        }
    }
}

/// A line of /proc/self/mountinfo: proc_pid_mountinfo(5).
struct Mount: Equatable, Sendable {
    enum Kind {
        case local, network, memory, layer, foreign
    }

    let point: String
    let type: String
    let isReadOnly: Bool

    init?(_ line: Substring) {
        let halves = line.components(separatedBy: " - ")
        guard halves.count == 2 else { return nil }
        let fields = halves[0].split(separator: " ")
        let rest = halves[1].split(separator: " ")
        guard fields.count > 5, rest.count > 2 else { return nil }
        self.point = Self.unescaped(fields[4])
        self.type = String(rest[0])
        self.isReadOnly = [fields[5], rest[2]].contains { $0.split(separator: ",").contains("ro") }
    }

    /// Spaces and the like are written as `\040`.
    private static func unescaped(_ text: Substring) -> String {
        var result: [UInt8] = []
        var bytes = text.utf8
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "\\"), bytes.count >= 3, let value = UInt8(String(Substring(bytes.prefix(3))), radix: 8) {
                result.append(value)
                bytes = bytes.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The mount that a path is on: the longest that is a folder above it, and of several the last.
    static func holding(_ path: String, in table: String) -> Mount? {
        let all = table.split(separator: "\n").compactMap { Mount($0) }
        let above = all.filter { $0.point == "/" || path == $0.point || path.hasPrefix("\($0.point)/") }
        let longest = above.map(\.point.count).max()
        return above.last { $0.point.count == longest }
    }

    /// The path without symbolic links; of one that is not there yet, the folder that it will be in.
    static func existing(_ path: String) -> String {
        var path = path
        while path.count > 1 {
            if let real = realpath(path, nil) {
                defer { free(real) }
                return String(cString: real)
            }
            path = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        }
        return "/"
    }

    var kind: Kind {
        switch self.type {
        case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "lustre", "glusterfs", "fuse.glusterfs", "fuse.sshfs",
            "davfs",
            "fuse.s3fs", "fuse.rclone", "gfs2", "ocfs2":
            .network
        case "tmpfs", "ramfs": .memory
        case "overlay", "aufs", "fuse.fuse-overlayfs": .layer
        case "vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "hfsplus": .foreign
        default: .local
        }
    }
}
