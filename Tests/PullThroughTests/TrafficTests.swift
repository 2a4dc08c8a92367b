import OCI
import Testing

@testable import PullThrough

/// What was served, in windows of time, in bounded space. All moments are Unix seconds, worked out by hand.
struct TrafficTests {
    /// 2026-11-24 00:00:00 UTC, a multiple of every width.
    private static let midnight: Int64 = 1_795_478_400

    private static func repository(_ text: String) throws -> QualifiedRepository { try QualifiedRepository(parsing: text) }

    private static func counts(_ pairs: (TrafficCount, Int64)...) -> TrafficCounts {
        var counts = TrafficCounts()
        for (count, value) in pairs { counts[count] = value }
        return counts
    }

    @Test("what was counted leaves the hour, the day and the week in turn, and stays in the total")
    func windows() {
        var series = TrafficSeries(TrafficSeries.Tier.plain)
        series.add(Self.counts((.pulls, 3)), at: Self.midnight)
        let expected: [(after: Int64, hour: Int64, day: Int64, week: Int64)] = [
            (0, 3, 3, 3), (3_600 + 299, 3, 3, 3), (3_600 + 300, 0, 3, 3), (86_400 + 3_599, 0, 3, 3), (86_400 + 3_600, 0, 0, 3),
            (7 * 86_400 + 21_599, 0, 0, 3), (7 * 86_400 + 21_600, 0, 0, 0),
        ]
        for moment in expected {
            let now = Self.midnight + moment.after
            #expect(series.counts(in: .hour, at: now)[.pulls] == moment.hour, "\(moment.after)")
            #expect(series.counts(in: .day, at: now)[.pulls] == moment.day, "\(moment.after)")
            #expect(series.counts(in: .week, at: now)[.pulls] == moment.week, "\(moment.after)")
            #expect(series.counts(in: .all, at: now)[.pulls] == 3)
        }
    }

    @Test("a year of traffic takes no more buckets than a week of it")
    func bounded() {
        var series = TrafficSeries(TrafficSeries.Tier.plain)
        for step in 0..<(366 * 24) { series.add(Self.counts((.hits, 1)), at: Self.midnight + Int64(step) * 3_600) }
        // Of each width those that a window needs, and the one that is being filled. One hit an hour touches every twelfth of the first.
        #expect(series.buckets.map(\.count) == [2, 25, 29])
        #expect(series.total[.hits] == 366 * 24)
    }

    @Test("a clock that was a year ahead for a while leaves nothing behind but the total")
    func clockAhead() {
        var series = TrafficSeries(TrafficSeries.Tier.plain)
        series.add(Self.counts((.hits, 5)), at: Self.midnight + 366 * 86_400)
        series.add(Self.counts((.hits, 1)), at: Self.midnight)
        #expect(series.counts(in: .hour, at: Self.midnight)[.hits] == 1)
        #expect(series.counts(in: .all, at: Self.midnight)[.hits] == 6)
        #expect(series.buckets.map(\.count) == [1, 1, 1])
    }

    @Test("a picture of an hour has 61 minutes, also those in which nothing happened")
    func points() {
        let ledger = TrafficLedger()
        ledger.upstream("docker").others.add(7, to: .bytesServed)
        ledger.roll(at: Self.midnight)
        let (width, points) = ledger.report(at: Self.midnight + 120).points(in: .hour)
        #expect(width == 60)
        #expect(points.count == 61)
        #expect(points.first?.start == Self.midnight + 120 - 3_600)
        #expect(points.filter { !$0.counts.isZero }.map(\.start) == [Self.midnight])
    }

    @Test("hit ratio and savings: 6 hits, 2 collapsed, 1 stale, 3 misses of 12 answers")
    func derived() {
        let counts = Self.counts(
            (.hits, 6), (.collapsed, 2), (.stale, 1), (.misses, 3), (.absent, 9), (.bytesServed, 1_000), (.bytesFetched, 300),
            (.upstreamRequests, 5))
        #expect(counts.answers == 12)
        #expect(counts.hitRatio == 0.75)
        #expect(counts.bytesSaved == 700)
        #expect(counts.requestsSaved == 7)
        #expect(TrafficCounts().hitRatio == nil)
        // Fetched ahead and not pulled yet.
        #expect(Self.counts((.bytesFetched, 10), (.upstreamRequests, 3)).bytesSaved == 0)
    }

    @Test("counts of a repository, of its registry and of all together agree")
    func report() throws {
        let ledger = TrafficLedger()
        let (docker, quay) = (ledger.upstream("docker"), ledger.upstream("quay"))
        let nginx = docker.cell(try Self.repository("docker.io/library/nginx"))
        nginx.note(.hit, .manifest)
        nginx.note(.revalidated, .manifest)
        nginx.note(.miss, .blob)
        nginx.add(to: .pulls)
        nginx.note(.hit, .list)
        docker.known(try Self.repository("docker.io/library/none")).note(.absent, .manifest)
        quay.cell(try Self.repository("quay.io/a/b")).note(.collapsed, .blob)
        let report = ledger.report(at: Self.midnight)
        let total = report.total(in: .hour)
        #expect(total == Self.counts((.pulls, 1), (.hits, 2), (.misses, 1), (.collapsed, 1), (.absent, 1)))
        #expect(report.upstreams(in: .hour).map(\.name) == ["docker", "quay"])
        #expect(report.upstreams(in: .hour).first?.counts[.absent] == 1)
        #expect(report.repositories(in: .hour).map(\.name) == ["docker.io/library/nginx", "quay.io/a/b", "docker (others)"])
        #expect(docker.requests(.revalidated, .manifest) == 1)
        #expect(docker.requests(.hit, .list) == 1)
        // Looked at again, nothing is counted twice.
        #expect(ledger.report(at: Self.midnight + 1).total(in: .all) == total)
    }

    @Test("beyond a thousand repositories those without traffic for longest are counted together, and nothing is lost")
    func manyRepositories() throws {
        let ledger = TrafficLedger()
        let docker = ledger.upstream("docker")
        let oldest = docker.cell(try Self.repository("docker.io/old/0"))
        for number in 0..<1_300 {
            docker.cell(try Self.repository("docker.io/old/\(number)")).add(to: .hits)
            ledger.roll(at: Self.midnight + Int64(number))
        }
        // Somebody still has it.
        oldest.add(5, to: .hits)
        let report = ledger.report(at: Self.midnight + 2_000)
        let rows = report.repositories(in: .all)
        #expect(rows.count <= TrafficLedger.repositoryLimit)
        #expect(report.total(in: .all)[.hits] == 1_305)
        #expect(docker.counts[.hits] == 1_305)
        #expect(rows.last?.scope.isOthers == true)
        #expect(!rows.contains { $0.name == "docker.io/old/0" })
        #expect(rows.contains { $0.name == "docker.io/old/1299" })
    }

    @Test("what is written is read back, and goes on")
    func file() throws {
        let ledger = TrafficLedger()
        let nginx = ledger.upstream("docker").cell(try Self.repository("docker.io/library/nginx"))
        nginx.add(4, to: .pulls)
        ledger.roll(at: Self.midnight)
        let text = TrafficFile.encode(try #require(ledger.takeChanges()))
        #expect(ledger.takeChanges() == nil)
        let later = TrafficLedger()
        later.restore(try TrafficFile.decode(text))
        later.upstream("docker").cell(try Self.repository("docker.io/library/nginx")).add(to: .pulls)
        let report = later.report(at: Self.midnight + 400)
        #expect(report.since == Self.midnight)
        #expect(report.total(in: .all)[.pulls] == 5)
        #expect(report.total(in: .hour)[.pulls] == 5)
        #expect(report.repositories(in: .all).map(\.name) == ["docker.io/library/nginx"])
        #expect(report.points(in: .hour).points.reduce(0) { $0 + $1.counts[.pulls] } == 5)
    }

    @Test(
        "what is no such document is refused",
        arguments: ["", "{}", "[]", #"{"format":2}"#, #"{"format":1,"series":[{"total":"x"}]}"#, #"{"format":1,"series":[3]}"#])
    func refused(_ text: String) {
        #expect(throws: JSONError.self) { try TrafficFile.decode(Array(text.utf8)) }
    }

    @Test("counts that nobody has counted, and buckets that cannot be, are left out")
    func odd() throws {
        let text = """
            {"format":1,"since":-4,"later":{"a":[1]},"series":[{"upstream":"a","repository":"docker.io/UPPER","total":[1],"at":1,"buckets":[]},\
            {"upstream":"a","repository":"docker.io/b","total":[-7,2,0,0,0,0,0,0,0,0,0,99],"at":1,\
            "buckets":[[300,7,1],[300,-300,1],[7,0,1],[300,1795478400,1],[300,1795478400,9],[300]]}]}
            """
        let report = TrafficReport(try TrafficFile.decode(Array(text.utf8)), at: Self.midnight)
        #expect(report.since == 0)
        #expect(report.repositories(in: .all).map(\.name) == ["docker.io/b"])
        #expect(report.total(in: .all) == Self.counts((.hits, 2)))
        #expect(report.total(in: .hour)[.pulls] == 1)
    }

    @Test("the last 64 pulls are remembered, the newest first")
    func recent() throws {
        let pulls = RecentPulls()
        #expect(pulls.all.isEmpty)
        let repository = try Self.repository("docker.io/a")
        let digest = Digest(.sha256, of: UnsafeRawBufferPointer(start: nil, count: 0))
        for number in 0..<100 {
            pulls.note(
                .init(
                    at: Int64(number), upstream: "docker", repository: repository, reference: .digest(digest), digest: digest,
                    outcome: .hit))
        }
        #expect(pulls.all.map(\.at) == (36..<100).reversed().map { Int64($0) })
    }
}
