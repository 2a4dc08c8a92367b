/// Every limit that somebody outside can press against: what it bounds, in which unit, and why it is what it is.
///
/// Here and nowhere else, so that one page says what a stranger can cost this process. Each constant has a test that is named
/// after what it bounds. The limits of the journal's format stay with the format, in `Storage`; lengths that a specification
/// gives to a name (tag, repository, digest) are part of that name's parser.
package enum Limits {
    /// What clients may ask of the server.
    package enum Server {
        /// Bytes of one header field, name and value. Larger than any token of a client, a tenth of the library's own limit.
        package static let headField = 8 << 10
        /// Bytes of a request's head: its target and all fields. The library's own limit is 2 MiB (CVE-2026-28980).
        package static let headBlock = 32 << 10
        /// Header fields of one request. Engines send fewer than ten, proxies add as many again.
        package static let headFields = 64
        /// Bytes of a request target. The longest that means anything (name, digest, `ns`, `last`) has fewer than 1,000.
        package static let target = 4 << 10
        /// Bytes of a request's body that are read and forgotten, so that the connection can go on; nothing here takes one.
        package static let requestBody = 64 << 10
        /// Bytes read at once. Also what a client can make us parse ahead of the answer it waits for: about 500 requests.
        package static let readAhead = 8 << 10
        /// Bytes of further requests that may wait behind an answer. Only one that ends its side at once gets beyond `readAhead`.
        package static let pipelined = 64 << 10
        /// Bytes read and forgotten after a final answer, so that the client sees the answer and not a reset.
        package static let discarded = 256 << 10
        /// Connections in all. An idle one costs about 14 KiB, one with a head that is as large as it may be and never ends 50 KiB.
        package static let connections = 4096
        /// Connections of one client address (IPv6: one /64), so that one host cannot take them all.
        package static let connectionsPerClient = 256
        /// Connections above those limits that are being told so at the same time; more are closed without a word.
        package static let refusals = 64
        /// Connections that the kernel holds until they are accepted: `listen`'s backlog.
        package static let backlog: CInt = 1024

        /// How long a request may take to arrive.
        package static let request = Duration.seconds(10)
        /// How long a connection may be idle between two requests.
        package static let idle = Duration.seconds(60)
        /// How long a connection must have been idle before another one may have its place.
        package static let idleGrace = Duration.seconds(1)
        /// The window in which a client must take its share of an answer.
        package static let takingWindow = Duration.seconds(60)
        /// Bytes that a client must take in that window: 1 KiB a second, slower than any line in use.
        package static let takenInWindow = 60 << 10
        /// How long a client may go on sending after a final answer.
        package static let lingering = Duration.seconds(2)
        /// How long accepting pauses when the process has no descriptor left.
        package static let acceptPause = Duration.milliseconds(250)
        /// What a refused client is told to wait, in seconds.
        package static let retryAfter = 1

        /// Elements of one page of a list, asked for or not: distribution spec, "Listing Tags" (CVE-2023-2253).
        package static let page = 1000
        /// How far ahead of what has arrived a range of a running download may begin before it is fetched on its own.
        package static let ahead: Int64 = 32 << 20
        /// How long a small blob holds its head back for verification. Engines give up after 30 seconds.
        package static let headPatience = Duration.seconds(5)
    }

    /// What a document may be, whoever sends it.
    package enum Documents {
        /// Levels of a JSON document. Manifests have six; the reader recurses.
        package static let depth = 64
        /// Combining marks in a row: UAX #15, 13, "Stream-Safe Text Format". Texts are compared by sorting them.
        package static let marks = 30
        /// Bytes of a manifest: distribution spec, "Pushing Manifests", the size that registries should accept.
        package static let manifest = 4 << 20
    }

    /// What an upstream may send.
    package enum Upstream {
        /// Bytes of one header field. The library reads up to 80 KiB before we see it.
        package static let headField = 8 << 10
        /// Bytes of a response's head. The library reads up to 2 MiB before we see it.
        package static let headBlock = 32 << 10
        /// Header fields of one response. The library reads up to 256 before we see them.
        package static let headFields = 64
        /// Bytes of an error document, or of a body that nobody wants.
        package static let errorDocument = 64 << 10
        /// Bytes of a token response. Tokens have a few KiB.
        package static let token = 64 << 10
        /// Bytes read from an upstream at once, at most.
        package static let read = 256 << 10
        /// Bytes of one page of tags or referrers.
        package static let list = 4 << 20
        /// Pages of referrers that follow each other (GHSA-298f-872v-2rcx).
        package static let listPages = 100
        /// Bytes of the query of a `Link` to the next page.
        package static let nextPage = 4 << 10
        /// Bytes of a `WWW-Authenticate` header.
        package static let challenge = 4 << 10
        /// Redirects that are followed for one request.
        package static let redirects = 5
        /// Connections to one host for blobs, and as many again for manifests and tokens.
        package static let connections = 512
        /// Questions (manifests, lists, sizes) to one registry at a time, half of them for one repository; others wait their turn.
        package static let questions = 64
        /// Attempts of one request in all.
        package static let attempts = 5
        /// Requests in a row that must fail, and within which time, until nobody waits for a place any more; and how long it is then
        /// left alone before one request tries it.
        package static let circuitFailures = 5
        package static let circuitWindow = Duration.seconds(30)
        package static let circuitPause = Duration.seconds(5)
        /// How long a mirror is passed over that sent something else than was asked for, or broke off.
        package static let mirrorAvoidance = Duration.seconds(60)
        /// The share of the budget that a mirror may take before the next place is asked.
        package static let mirror = Duration.seconds(4)
        /// Ranged requests in a row after a body broke, without a MiB of progress between them.
        package static let resumes = 3
        /// How long anybody waits for a tag's revalidation when an older answer is at hand.
        package static let revalidation = Duration.seconds(2)
        /// How long a connection may take to be made, TLS included.
        package static let connect = Duration.seconds(5)
        /// How long one request may wait for its response's head.
        package static let head = Duration.seconds(10)
        /// Everything before the answer's head: token, redirects, retries.
        package static let budget = Duration.seconds(20)
        /// How long a body may stand still.
        package static let stall = Duration.seconds(30)
        /// How long a broken body may take to be gone on with, since its last MiB.
        package static let resuming = Duration.seconds(30)
        /// The window in which an upstream must send its share of a body.
        package static let bodyWindow = Duration.seconds(60)
        /// Bytes that an upstream must send in that window: 1 KiB a second, else another connection is tried.
        package static let bodyInWindow = 60 << 10
        /// How long a repository is not asked for again that is denied although the token is fresh.
        package static let denial = Duration.seconds(30)
        /// How long a blob is not asked for again whose announced size is not the one in its manifest.
        package static let wrongSize = Duration.seconds(60)
        /// The window in which fetches of wrong content are counted.
        package static let wrongContentWindow = Duration.seconds(60)
        /// Fetches of one digest in that window, when what comes is wrong each time.
        package static let wrongContentFetches = 3
        /// How long a download goes on without followers where it shall not outlive them.
        package static let abandonment = Duration.seconds(1)
        /// How long a registry's rate limit is believed that did not say its window: Docker Hub's six hours.
        package static let rateWindow = Duration.seconds(21_600)
        /// The longest pause that a registry can impose by `Retry-After`.
        package static let cooldown = Duration.seconds(3600)
        /// The longest life of a token, whatever its service says, in seconds.
        package static let tokenLifetime: Int64 = 3600
    }

    /// What is brought ahead of those who will pull it, and the lists that name it.
    package enum Warming {
        /// Manifests of one image with all its platforms and referrers.
        package static let manifests = 2000
        /// How long a registry that limits us is waited for, each time.
        package static let cooldown = Duration.seconds(120)
        /// Bytes of a list of images. The largest bundles of Kubernetes manifests have a few MiB.
        package static let list = 16 << 20
        /// Images of one run.
        package static let images = 10_000
        /// Nodes of a YAML document that are looked at, those behind aliases each time.
        package static let nodes = 1_000_000
        /// Levels of a YAML document.
        package static let depth = 100
    }

    /// What is remembered of names that anybody can make up.
    package enum Memory {
        /// Tokens, one a scope.
        package static let tokens = 4096
        /// Answers "there is none".
        package static let absences = 10_000
        /// Digests for which an upstream sent something else.
        package static let wrongContent = 10_000
        /// Repositories that an upstream denies.
        package static let denials = 10_000
        /// Tags whose manifest is not stored.
        package static let recentTags = 10_000
        /// Lists of tags and of referrers, each.
        package static let lists = 1000
        /// Bytes that wait for a relay's client before its upstream is held back.
        package static let relay = 512 << 10
        /// Bytes of one download that wait for the disk before its upstream is held back.
        package static let intake = 2 << 20
        /// Answers that each event loop has ready; a power of two.
        package static let readyAnswers = 1024
        /// Bytes of content in one of them. Nearly all manifests and configurations are smaller.
        package static let readyAnswer: Int64 = 16 << 10
        /// Bytes of all of them, on all loops.
        package static let readyAnswerBytes = 16 << 20
        /// Log lines that wait for standard error.
        package static let logLines = 8192
    }

    /// What this process takes of its host.
    package enum Process {
        /// Descriptors that are asked for, where the host allows so many.
        package static let descriptors = 1 << 16
        /// Stored blobs that are kept open for the next hit.
        package static let openBlobs = 4096
        /// Bytes of a configuration file.
        package static let configuration = 1 << 20
    }

    /// What a bundle may be that somebody brings, and so what one that is carried out is.
    package enum Bundles {
        /// Members of an archive, or files of a folder.
        package static let members = 100_000
        /// Bytes of a document that describes a bundle, such as its `index.json`.
        package static let document = Documents.manifest
        /// Bytes of a member's name. A blob's has at most 141.
        package static let name = 256
        /// Bytes of a header that extends another: PAX records, or a long name.
        package static let extendedHeader = 64 << 10
        /// How many times its own size compressed data may become. Layers are compressed already; what is left is far below.
        package static let ratio: Int64 = 100
        /// Bytes that may come out before the ratio is looked at.
        package static let ratioSlack: Int64 = 1 << 20
        /// Zero bytes behind an archive's end: a tape's record, for whoever still writes in those.
        package static let padding: Int64 = 1 << 20
        /// Bytes of one blob, so that no sum of as many as a bundle may name overflows: files can be sparse.
        package static let blob: Int64 = 1 << 42
        /// Pieces of content that all manifests of a bundle name together.
        package static let references = 1_000_000
        /// Indexes within each other.
        package static let depth = 8
        /// Links behind each other in a `docker save` archive.
        package static let links = 8
        /// Parts of a bundle that was split.
        package static let parts = 10_000
        /// Blobs on a receipt; it is in memory as a whole, at 40 bytes each.
        package static let receipt = 10_000_000
    }
}
