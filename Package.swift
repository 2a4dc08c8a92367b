// swift-tools-version: 6.2
import PackageDescription

// `scripts/check` and `scripts/test` set AMARGO_STRICT, so that CI fails on a warning while a newer
// compiler's new warnings never keep anybody from building a release.
let strict = Context.environment["AMARGO_STRICT"] == "1"

var settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
]
if strict { settings.append(.treatAllWarnings(as: .error)) }

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "amargo",
    products: [.executable(name: "amargo", targets: ["amargo"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // Level 0: the vocabulary, and what Swift cannot reach by itself.
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CPage", exclude: ["page"]),
        .target(name: "OCI", dependencies: ["COpenSSL"], swiftSettings: settings),
        // Level 1
        .target(
            name: "Storage",
            dependencies: [
                "OCI", "CZlib", "CLinux", logging, lifecycle, collections,
                .product(name: "SystemPackage", package: "swift-system"),
            ] + nio,
            swiftSettings: settings),
        .target(
            name: "Upstream",
            dependencies: [
                "OCI", logging,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ] + nio,
            swiftSettings: settings),
        // Level 2
        .target(
            name: "PullThrough",
            dependencies: ["OCI", "Storage", "Upstream", logging, lifecycle, collections] + nio,
            swiftSettings: settings),
        .target(name: "Archive", dependencies: ["OCI", "Storage", "CZlib", "CLinux"], swiftSettings: settings),
        .target(
            name: "Maintenance", dependencies: ["OCI", "Storage", logging, lifecycle] + nio, swiftSettings: settings),
        // Level 3
        .target(
            name: "Registry",
            dependencies: [
                "OCI", "Storage", "PullThrough", "Archive", "Maintenance", "CPage", logging, lifecycle,
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio,
            swiftSettings: settings),
        // Level 4
        .executableTarget(
            name: "amargo",
            dependencies: [
                "OCI", "Storage", "Upstream", "PullThrough", "Archive", "Maintenance", "Registry", logging, lifecycle,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ] + nio,
            swiftSettings: settings),
        // Tests: fast ones a module each, then the server on loopback, then the real programs.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(name: "TestSupportTests", dependencies: ["TestSupport"], swiftSettings: settings),
        .testTarget(name: "OCITests", dependencies: ["OCI", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "StorageTests", dependencies: ["OCI", "Storage", "TestSupport"] + nio, swiftSettings: settings),
        .testTarget(
            name: "UpstreamTests", dependencies: ["OCI", "Upstream", "TestSupport", logging] + nio, swiftSettings: settings),
        .testTarget(
            name: "PullThroughTests", dependencies: ["OCI", "Storage", "Upstream", "PullThrough", "TestSupport"] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "RegistryTests",
            dependencies: ["OCI", "Storage", "Upstream", "PullThrough", "Registry", "TestSupport", logging, lifecycle] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "MaintenanceTests",
            dependencies: ["OCI", "Storage", "Maintenance", "TestSupport", logging, lifecycle] + nio, swiftSettings: settings),
        .testTarget(
            name: "ArchiveTests", dependencies: ["OCI", "Storage", "Archive", "TestSupport", logging] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "AmargoTests",
            dependencies: [
                "amargo", "OCI", "Storage", "Upstream", "PullThrough", "Archive", "Maintenance", "Registry", "TestSupport",
                logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "OCI", "Storage", "Upstream", "Registry", "TestSupport", .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "SystemTests", dependencies: ["TestSupport"], exclude: ["Programs", "Golden"], swiftSettings: settings),
    ]
)
