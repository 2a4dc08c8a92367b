import Foundation

/// A program the tests drive, and the Debian package that brings it.
struct Program: Sendable {
    let name: String
    let package: String

    static let buildah = Program(name: "buildah", package: "buildah")
    static let containerd = Program(name: "containerd", package: "containerd")
    static let ctr = Program(name: "ctr", package: "containerd")
    static let nginx = Program(name: "nginx", package: "nginx-light")
    static let jq = Program(name: "jq", package: "jq")
    static let podman = Program(name: "podman", package: "podman")
    static let chromedriver = Program(name: "chromedriver", package: "chromium-driver")
    static let chromium = Program(name: "chromium", package: "chromium")
    static let busybox = Program(name: "busybox", package: "busybox-static")
    static let curl = Program(name: "curl", package: "curl")
    static let docker = Program(name: "docker", package: "docker.io (docker-cli since Debian 13)")
    static let dockerd = Program(name: "dockerd", package: "docker.io")
    static let dockerRegistry = Program(name: "docker-registry", package: "docker-registry")
    static let gzip = Program(name: "gzip", package: "gzip")
    static let prlimit = Program(name: "prlimit", package: "util-linux")
    static let prometheus = Program(name: "prometheus", package: "prometheus")
    static let promtool = Program(name: "promtool", package: "prometheus")
    static let python = Program(name: "python3", package: "python3")
    static let remove = Program(name: "rm", package: "coreutils")
    static let runc = Program(name: "runc", package: "runc")
    static let shell = Program(name: "sh", package: "dash")
    static let sha256sum = Program(name: "sha256sum", package: "coreutils")
    static let skopeo = Program(name: "skopeo", package: "skopeo")
    static let tar = Program(name: "tar", package: "tar")
    static let mount = Program(name: "mount", package: "mount")
    static let nsenter = Program(name: "nsenter", package: "util-linux")
    static let openssl = Program(name: "openssl", package: "openssl")
    static let tinyproxy = Program(name: "tinyproxy", package: "tinyproxy-bin")
    static let umoci = Program(name: "umoci", package: "umoci")
    static let unshare = Program(name: "unshare", package: "util-linux")
    static let unmount = Program(name: "umount", package: "mount")

    /// The search path of root's login shell: daemons are in `sbin`, which a user's path lacks.
    static let searchPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]

    /// What a program gets to see: nothing of the caller's proxies, locales and Docker settings.
    static let environment = [
        "PATH": searchPath.joined(separator: ":"),
        "HOME": FileManager.default.temporaryDirectory.path,
        "TMPDIR": FileManager.default.temporaryDirectory.path,
        "LC_ALL": "C",
    ]

    /// Where it is installed.
    func url() throws -> URL {
        let candidates = Self.searchPath.map { URL(fileURLWithPath: $0).appendingPathComponent(self.name) }
        guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
            throw Missing(program: self)
        }
        return found
    }

    struct Missing: Error, CustomStringConvertible {
        let program: Program

        var description: String {
            "\(self.program.name) is not installed: apt-get install \(self.program.package), or run scripts/test, which does"
        }
    }
}
