import OCI
import PullThrough
import Registry
import Testing

@testable import amargo

/// How a run is asked for and told.
struct WarmWordsTests {
    @Test("a request is the same on the other side of the socket")
    func request() throws {
        for platforms in [
            PlatformSelection.all, .own, PlatformSelection([.init(os: "linux", architecture: "arm64", variant: "v8")]),
        ] {
            let request = AdminRequest.warm(
                WarmRequest(images: ["docker.io/library/nginx:1"], platforms: platforms, withReferrers: true, jobs: 7))
            #expect(AdminRequest(try AdminEvent(parsing: Array(request.event.json.utf8))) == request)
        }
    }

    @Test(
        "a request that a later version would make is not guessed at", arguments: [#"["linux"]"#, "[]", #"["linux/amd64",""]"#])
    func strange(_ platforms: String) throws {
        let line = "{\"kind\":\"warm\",\"images\":[\"a\"],\"platforms\":\(platforms),\"jobs\":4}"
        #expect(AdminRequest(try AdminEvent(parsing: Array(line.utf8))) == nil)
    }

    @Test("a request's jobs are within bounds, whoever asks", arguments: [(0, 1), (-3, 1), (4, 4), (1_000_000, 64)])
    func jobs(_ asked: Int, _ given: Int) throws {
        let line = "{\"kind\":\"warm\",\"images\":[\"a\"],\"jobs\":\(asked)}"
        #expect(
            AdminRequest(try AdminEvent(parsing: Array(line.utf8)))
                == .warm(WarmRequest(images: ["a"], platforms: .all, jobs: given)))
    }

    @Test("an image's line says what came and what was there")
    func lines() {
        let event = AdminEvent("warmed").with("image", "docker.io/library/nginx:1").with(
            "platforms", ["linux/amd64", "unknown/unknown"]
        )
        .with("blobs", 8).with("fetchedBlobs", 5).with("fetchedManifests", 2).with("fetchedBytes", 45_200_000)
        .with("milliseconds", 3_210)
        #expect(
            WarmPrinter.line(event)
                == "docker.io/library/nginx:1 (linux/amd64): fetched 5 blobs, 45.2 MB in 3.2 s; 3 of 8 were there already")
        let same = AdminEvent("warmed").with("image", "docker.io/library/nginx:1").with("blobs", 8).with("bytes", 1_000)
        #expect(WarmPrinter.line(same) == "docker.io/library/nginx:1: nothing to do, all of its 1 kB are stored")
        let failed = AdminEvent("warmFailed").with("image", "a.example/b:c").with(
            "message", "a.example limits our requests (429)"
        )
        .with("retryAt", 1_795_510_142)
        #expect(
            WarmPrinter.failure(failed)
                == "a.example/b:c is not complete: a.example limits our requests (429); try again after 2026-11-24 08:49Z")
    }

    @Test("the summary counts, or says that there was nothing to do")
    func summaries() {
        func summary(_ complete: Int64, _ unchanged: Int64, _ failed: Int64, _ interrupted: Int64) -> String {
            WarmPrinter.summary(
                AdminEvent("warmSummary").with("complete", complete).with("unchanged", unchanged).with("failed", failed)
                    .with("interrupted", interrupted).with("fetchedBlobs", 1).with("fetchedBytes", 5).with("milliseconds", 75_000)
            )
        }
        #expect(summary(3, 3, 0, 0) == "Nothing to do: all 3 images are complete")
        #expect(summary(1, 1, 0, 0) == "Nothing to do: the image is complete")
        #expect(
            summary(3, 1, 1, 2)
                == "3 of 6 images complete, 1 of them before, 1 failed, 2 not brought: fetched 1 blob, 5 bytes in 75 s")
    }

    @Test("a layer's line survives the socket, and fits whatever the terminal's width")
    func layers() throws {
        let digest = try Digest(parsing: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let layer = try #require(AdminEvent.layer("\(digest) 500 1000 docker.io/library/nginx:1"))
        #expect(layer == .init(digest: digest, received: 500, size: 1000, image: "docker.io/library/nginx:1"))
        let line = WarmPrinter.line(layer)
        #expect(line == "  docker.io/library/nginx:1 ba7816bf8f01 [==========          ] 50 % of 1 kB")
        for width in 0...120 {
            let cut = ProgressBlock.cut(line, to: width)
            #expect(cut.count <= width)
            if width > 24 { #expect(cut.hasSuffix("50 % of 1 kB")) }
        }
        #expect(AdminEvent.layer("") == nil)
        #expect(AdminEvent.layer("sha256:12 1 2 x") == nil)
    }

    @Test("the rate is that of the last seconds, and begins anew with a run that does")
    func rate() {
        var rate = TransferRate()
        #expect(rate.note(0, at: 0) == nil)
        #expect(rate.note(500, at: 500) == nil)
        #expect(rate.note(2_000, at: 1_000) == 2_000)
        for second in 2...20 { _ = rate.note(2_000, at: Int64(second) * 1_000) }
        #expect(rate.note(2_000, at: 21_000) == 0)
        #expect(rate.note(10, at: 100) == nil)
    }
}
