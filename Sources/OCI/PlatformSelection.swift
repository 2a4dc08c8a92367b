/// Which images of an index are wanted.
///
/// Source for what a platform without a variant means: containerd's `platforms`, which engines follow: `arm` is `arm/v7`, `arm64` is
/// `arm64/v8`, `amd64` is `amd64/v1`, and a processor of arm/v7 runs what was made for v6 and v5.
package struct PlatformSelection: Hashable, Sendable {
    /// Nil: all of them, whatever they are.
    package let platforms: [Platform]?

    package static let all = PlatformSelection(platforms: nil)

    /// The platform of this machine.
    package static let own = PlatformSelection([.own])

    package init(_ platforms: [Platform]) {
        self.init(platforms: platforms)
    }

    private init(platforms: [Platform]?) {
        self.platforms = platforms
    }

    package struct Choice: Hashable, Sendable {
        /// Positions of what is wanted.
        package var chosen: [Int] = []
        /// Platforms that are wanted and not offered.
        package var missing: [Platform] = []

        package init(chosen: [Int] = [], missing: [Platform] = []) {
            self.chosen = chosen
            self.missing = missing
        }
    }

    /// Chooses among the children of an index, each with what the index says of its platform.
    ///
    /// A child of which nothing is said is always wanted: it is whatever the index is for. Attestations, whose platform is
    /// `unknown/unknown`, are wanted when everything is.
    package func choose(among offered: [String?]) -> Choice {
        guard let platforms = self.platforms else { return Choice(chosen: Array(offered.indices)) }
        var chosen = Set(offered.indices.filter { offered[$0] == nil })
        var missing: [Platform] = []
        let known = offered.map { $0.flatMap { Platform(lenient: $0) } }
        for platform in platforms {
            let found = platform.fits.lazy.map { fit in known.indices.filter { known[$0]?.normalized == fit } }
                .first { !$0.isEmpty }
            if let found { chosen.formUnion(found) } else { missing.append(platform) }
        }
        // What says nothing of platforms has none to miss.
        if offered.allSatisfy({ $0 == nil }) { missing = [] }
        return Choice(chosen: chosen.sorted(), missing: missing)
    }

    /// Whether an image for this platform is wanted.
    package func contains(_ platform: Platform) -> Bool {
        self.platforms?.contains { $0.fits.contains(platform.normalized) } ?? true
    }
}

extension Platform {
    /// The platform of this machine.
    package static var own: Platform {
        #if arch(x86_64)
        Platform(os: "linux", architecture: "amd64")
        #elseif arch(arm64)
        Platform(os: "linux", architecture: "arm64")
        #elseif arch(riscv64)
        Platform(os: "linux", architecture: "riscv64")
        #elseif arch(powerpc64le)
        Platform(os: "linux", architecture: "ppc64le")
        #elseif arch(s390x)
        Platform(os: "linux", architecture: "s390x")
        #else
        Platform(os: "linux", architecture: "arm")
        #endif
    }

    /// `os/architecture` or `os/architecture/variant`, as engines take it; nil for anything else.
    package init?(parsing text: some StringProtocol) {
        let parts = Substring(text).split(separator: "/", omittingEmptySubsequences: false)
        let isWellFormed = parts.allSatisfy { part in
            (1...64).contains(part.utf8.count)
                && part.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                        true
                    default: false
                    }
                }
        }
        guard (2...3).contains(parts.count), isWellFormed else { return nil }
        self.init(lenient: text)
    }

    /// A platform as an index says it.
    fileprivate init?(lenient text: some StringProtocol) {
        let parts = Substring(text).split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2 else { return nil }
        self.init(os: parts[0], architecture: parts[1], variant: parts.count > 2 ? parts[2] : nil)
    }

    /// The same platform, written in the one way in which all its spellings are written.
    package var normalized: Platform {
        let os = self.os.lowercased() == "macos" ? "darwin" : self.os.lowercased()
        let variant = self.variant?.lowercased()
        switch (self.architecture.lowercased(), variant) {
        case ("x86_64", _), ("x86-64", _), ("amd64", _):
            return Platform(os: os, architecture: "amd64", variant: variant == "v1" ? nil : variant)
        case ("aarch64", _), ("arm64", _):
            return Platform(os: os, architecture: "arm64", variant: variant == "v8" || variant == "8" ? nil : variant)
        case ("i386", _), ("386", _): return Platform(os: os, architecture: "386")
        case ("armhf", _): return Platform(os: os, architecture: "arm", variant: "v7")
        case ("armel", _): return Platform(os: os, architecture: "arm", variant: "v6")
        case ("arm", let variant):
            return Platform(os: os, architecture: "arm", variant: variant.map { $0.hasPrefix("v") ? $0 : "v\($0)" } ?? "v7")
        case (let architecture, let variant): return Platform(os: os, architecture: architecture, variant: variant)
        }
    }

    /// What runs on it, best first.
    fileprivate var fits: [Platform] {
        let own = self.normalized
        guard own.architecture == "arm", let number = own.variant?.dropFirst().first?.wholeNumberValue, number > 5 else {
            return [own]
        }
        return [own] + (5..<number).reversed().map { Platform(os: own.os, architecture: "arm", variant: "v\($0)") }
    }
}
