import Foundation
import Testing

/// Real programs against the real binary: docker-registry, dockerd, docker, skopeo, curl.
///
/// One after the other: they share two cores and the kernel's mounts. What a test needs and does not find is a
/// failure that names the Debian package; only the lack of root, which dockerd needs, skips.
@Suite("System", .serialized)
struct SystemTests {
    static let needsRoot = ConditionTrait.enabled(if: geteuid() == 0, "dockerd needs root")

    /// `AMARGO_LONG_TESTS=1` uses the sizes of real life.
    static let isLong = ProcessInfo.processInfo.environment["AMARGO_LONG_TESTS"] == "1"
}
