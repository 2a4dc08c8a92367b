import OCI
import Storage
import Testing

@testable import PullThrough

struct FreshnessPolicyTests {
    private static func entry(
        fetchedAt: Int64, confirmedAt: ContinuousClock.Instant? = nil,
        digest: String = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    ) throws -> Catalog.TagEntry {
        let catalog = Catalog()
        let repository = try QualifiedRepository(parsing: "docker.io/library/nginx")
        let tag = try Tag(parsing: "latest")
        catalog.apply(
            .tag(tag, repository, try Digest(parsing: "sha256:\(digest)"), fetchedAt: fetchedAt), receivedAt: confirmedAt)
        return try #require(catalog.tag(tag, in: repository))
    }

    @Test(
        "what an earlier process was told is dated by the wall clock, and the future is now",
        arguments: [
            (1_000, 1_000, 0), (1_000, 1_030, 30), (1_000, 999, 0), (1_000, 0, 0), (4_102_444_800, 1_000, 0),
            (0, 1_764_000_000, 1_764_000_000),
        ]
            as [(Int64, Int64, Int64)])
    func wallClock(_ fetchedAt: Int64, _ now: Int64, _ age: Int64) throws {
        #expect(FreshnessPolicy().age(of: try Self.entry(fetchedAt: fetchedAt), now: now, instant: .now) == age)
    }

    @Test(
        "within one process the monotonic clock decides, however the wall clock jumps",
        arguments: [0, 1_000, 1_764_000_000, -86_400] as [Int64])
    func monotonic(_ now: Int64) throws {
        let confirmedAt = ContinuousClock.now
        let entry = try Self.entry(fetchedAt: 1_000, confirmedAt: confirmedAt)
        let policy = FreshnessPolicy()
        #expect(policy.age(of: entry, now: now, instant: confirmedAt) == 0)
        #expect(policy.age(of: entry, now: now, instant: confirmedAt + .milliseconds(1_999)) == 1)
        #expect(policy.age(of: entry, now: now, instant: confirmedAt + .seconds(1_800)) == 1_800)
        #expect(policy.age(of: entry, now: now, instant: confirmedAt - .seconds(5)) == 0)
    }

    @Test(
        "a lifetime is the configured one, give or take 10 %",
        arguments: [0, 1, 4, 10, 60, 1_800, 86_400, 315_360_000] as [Int64])
    func jitter(_ ttl: Int64) throws {
        let policy = FreshnessPolicy()
        for fetchedAt in Int64(1_764_000_000)..<1_764_000_200 {
            let lifetime = policy.lifetime(of: try Self.entry(fetchedAt: fetchedAt), ttl: .seconds(ttl))
            #expect(lifetime >= ttl * 9 / 10)
            #expect(lifetime <= (ttl * 11 + 9) / 10)
        }
    }

    @Test("tags that came together do not expire together, and each always at the same time")
    func spread() throws {
        let policy = FreshnessPolicy()
        var lifetimes: Set<Int64> = []
        for number in 0..<64 {
            let hex = String(number * 4 + 16, radix: 16)
            let digest = hex.suffix(2) + String(repeating: "0", count: 64 - min(2, hex.utf8.count))
            let entry = try Self.entry(fetchedAt: 1_764_000_000, digest: String(digest.prefix(64)))
            let lifetime = policy.lifetime(of: entry, ttl: .seconds(1_800))
            #expect(policy.lifetime(of: entry, ttl: .seconds(1_800)) == lifetime)
            lifetimes.insert(lifetime)
        }
        #expect(lifetimes.count > 16)
        #expect((lifetimes.max() ?? 0) - (lifetimes.min() ?? 0) > 180)
    }

    @Test("nobody waits longer than two seconds for a revalidation")
    func patience() {
        #expect(FreshnessPolicy().patience == .seconds(2))
    }
}
