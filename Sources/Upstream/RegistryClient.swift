import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Synchronization

/// Asks one registry, politely: a token where one is wanted, redirects without credentials, few retries, always a limit.
///
/// Every request is built from nothing but parsed types: no header, path or query of a client ever goes up. Source:
/// distribution spec, "Pull", https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
package final class RegistryClient: Sendable {
    package let configuration: UpstreamConfiguration
    package let status = UpstreamStatus()
    let tokens = TokenCache()
    let retry = RetryPolicy()
    /// Registries count manifests, not blobs: a limit on the one says nothing about the other.
    private let metadataCooldown = Cooldown()
    private let blobCooldown = Cooldown()
    let logger: Logger
    private let metadata: HTTPClient
    private let blobs: HTTPClient

    package init(_ configuration: UpstreamConfiguration, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        var settings = HTTPClient.Configuration()
        settings.httpVersion = .http1Only
        settings.redirectConfiguration = .disallow
        settings.decompression = .disabled
        settings.timeout.connect = TimeAmount(configuration.connectTimeout)
        // The exchange watches its own clock: this one would also run while a slow reader holds us back.
        settings.timeout.read = nil
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.connectionLimit
        settings.connectionPool.retryConnectionEstablishment = false
        // Two pools, so that slow blobs never keep a manifest waiting.
        self.metadata = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: settings)
        self.blobs = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: settings)
    }

    /// Closes every connection; requests under way fail.
    package func shutdown() async {
        for client in [self.metadata, self.blobs] {
            do {
                try await client.shutdown()
            } catch {
                self.logger.debug("An upstream client did not shut down cleanly", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: - Manifests

    /// A manifest's exact bytes (at most 4 MiB) and the media type they came with.
    package struct ManifestResponse: Sendable {
        package let bytes: ByteBuffer
        package let mediaType: MediaType?
    }

    /// What a registry says of a manifest without sending it.
    package struct ManifestHead: Sendable, Hashable {
        /// Nil when the registry left it out.
        package let digest: Digest?
        package let mediaType: MediaType?
        package let size: Int64?
    }

    package func manifest(_ reference: Reference, in repository: RepositoryName) async throws -> ManifestResponse {
        let response = try await self.ask(
            .GET, "manifests/\(reference)", in: repository, limit: Manifest.maximumSize, accept: Self.manifestTypes)
        return ManifestResponse(bytes: response.body, mediaType: Self.mediaType(response.head))
    }

    /// Asks by HEAD; a registry that does not know it (405, 501) is asked by GET.
    package func manifestHead(_ reference: Reference, in repository: RepositoryName) async throws -> ManifestHead {
        do {
            let head = try await self.ask(
                .HEAD, "manifests/\(reference)", in: repository, limit: Self.errorLimit, accept: Self.manifestTypes
            ).head
            let digest = head.headers.first(name: "docker-content-digest").flatMap { text in
                try? Digest(parsing: text)  // a malformed digest is as good as none: the caller asks by GET
            }
            return ManifestHead(digest: digest, mediaType: Self.mediaType(head), size: Self.contentLength(head))
        } catch let error as UpstreamError where error.code == .invalidResponse {
            let response = try await self.manifest(reference, in: repository)
            let digest = response.bytes.withUnsafeReadableBytes { Digest(.sha256, of: $0) }
            return ManifestHead(digest: digest, mediaType: response.mediaType, size: Int64(response.bytes.readableBytes))
        }
    }

    private static let manifestTypes = MediaType.manifests.map(\.description).joined(separator: ", ")

    private static func mediaType(_ head: HTTPResponseHead) -> MediaType? {
        guard let text = head.headers.first(name: "content-type") else { return nil }
        return try? MediaType(parsing: text)  // a malformed type is as good as none
    }

    static func contentLength(_ head: HTTPResponseHead) -> Int64? {
        head.headers.first(name: "content-length").flatMap { Int64($0) }
    }

    // MARK: - Requests

    /// Bytes of an error document that are read.
    static let errorLimit = 64 << 10

    func ask(
        _ method: HTTPMethod, _ path: String, query: String = "", in repository: RepositoryName, limit: Int, accept: String
    ) async throws -> ExchangeDelegate.Response {
        let request = RegistryRequest(method: method, repository: repository, path: path, accept: accept, query: query)
        return try await self.withRetries(self.metadataCooldown) { deadline in
            let response = try await self.exchange(request, client: self.metadata, limit: limit, deadline: deadline) { _ in nil }
            guard response.head.status == .ok else { throw self.error(for: response, request) }
            return response
        }
    }

    /// Fetches a blob, or the rest of it from `offset`, into a receiver; returns when its last byte was handed over.
    ///
    /// Failures before the head are retried within the budget; one after it is thrown as `.interrupted`, and the caller
    /// decides whether to ask for the rest.
    package func blob(
        _ digest: Digest, in repository: RepositoryName, range: BlobRange = .whole, receiver: any BlobReceiver
    ) async throws {
        var request = RegistryRequest(method: .GET, repository: repository, path: "blobs/\(digest)", accept: "*/*")
        request.range = range
        _ = try await self.withRetries(self.blobCooldown) { deadline in
            let response = try await self.exchange(request, client: self.blobs, limit: Self.errorLimit, deadline: deadline) {
                head in
                guard let blobHead = try self.blobHead(of: head, range: range) else { return nil }
                try receiver.receive(blobHead)
                return receiver
            }
            guard (200..<300).contains(response.head.status.code) else { throw self.error(for: response, request) }
            return response
        }
    }

    /// The size of a blob, asked by HEAD: nothing is downloaded.
    ///
    /// Some registries know no HEAD for blobs (405, 501), or refuse it although the token is good (public.ecr.aws): those are
    /// asked for the first byte.
    package func blobSize(_ digest: Digest, in repository: RepositoryName) async throws -> Int64? {
        do {
            let response = try await self.ask(.HEAD, "blobs/\(digest)", in: repository, limit: Self.errorLimit, accept: "*/*")
            return Self.contentLength(response.head)
        } catch let error as UpstreamError where error.code == .denied || error.code == .invalidResponse {
            let probe = SizeProbe()
            do {
                try await self.blob(digest, in: repository, range: .from(0, through: 0), receiver: probe)
            } catch is UpstreamError {
                throw error
            }
            return probe.size
        }
    }

    private func blobHead(of head: HTTPResponseHead, range: BlobRange) throws -> BlobHead? {
        switch head.status.code {
        case 200:
            guard range == .whole else { throw UpstreamError(.rangeIgnored, self.say("answered a range with the whole blob")) }
            return BlobHead(offset: 0, size: Self.contentLength(head))
        case 206:
            guard case .from(let first, let last) = range, let value = head.headers.first(name: "content-range"),
                let answer = ContentRange(parsing: value), answer.first == first, last == nil || answer.last == last
            else { throw UpstreamError(.rangeIgnored, self.say("answered with another range than asked for")) }
            return BlobHead(offset: first, size: answer.size)
        case 201..<300:
            throw UpstreamError(.invalidResponse, self.say("answered with status \(head.status.code)"))
        default:
            return nil
        }
    }

    /// Runs an exchange until it succeeds, fails for good, or the budget is spent.
    private func withRetries<T: Sendable>(
        _ cooldown: Cooldown, _ work: (_ deadline: ContinuousClock.Instant) async throws -> T
    ) async throws -> T {
        if let seconds = cooldown.remaining {
            throw UpstreamError(
                .rateLimited(retryAfter: seconds), self.say("limits our requests; it is asked again in \(seconds) s"))
        }
        let deadline = ContinuousClock.now + self.configuration.budget
        var attempt = 0
        var cause: UpstreamError?
        while true {
            do {
                return try await work(deadline)
            } catch let failure as BodyFailure {
                self.status.failed(failure.error)
                throw failure.error
            } catch let error as UpstreamError {
                attempt += 1
                if case .rateLimited(let seconds) = error.code { cooldown.begin(retryAfter: seconds) }
                self.status.failed(error)
                let remaining = ContinuousClock.now.duration(to: deadline)
                guard
                    let delay = self.retry.delay(before: attempt, after: error, remaining: remaining, random: .random(in: 0...1))
                else {
                    // A last attempt that our own budget ended says less than what went wrong before it.
                    throw remaining <= .zero && error.code == .timeout ? cause ?? error : error
                }
                cause = error.code == .timeout ? cause : error
                self.logger.debug("Asking an upstream again", metadata: ["reason": "\(error)", "attempt": "\(attempt + 1)"])
                try await Task.sleep(for: delay)
            }
        }
    }

    func say(_ what: String) -> String { "\(self.configuration.address.authority) \(what)" }
}

/// A part of a blob, in bytes.
package enum BlobRange: Sendable, Hashable {
    case whole
    /// From the first byte to the last, both included; without a last one to the end.
    case from(Int64, through: Int64?)
}

/// A request before it has credentials or a host.
struct RegistryRequest: Sendable {
    let method: HTTPMethod
    let repository: RepositoryName
    /// Below the repository: `manifests/latest`.
    let path: String
    let accept: String
    /// Without the question mark; percent-encoded.
    var query = ""
    var range = BlobRange.whole

    var scope: String { "repository:\(self.repository):pull" }
}

/// A failure after the response's head: not to be retried as if nothing had been said.
struct BodyFailure: Error {
    let error: UpstreamError
}

/// `bytes FIRST-LAST/SIZE`: RFC 9110, 14.4.
struct ContentRange: Sendable, Hashable {
    let first: Int64
    let last: Int64
    let size: Int64?

    init?(parsing value: String) {
        guard value.hasPrefix("bytes ") else { return nil }
        let parts = value.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]), last >= first else {
            return nil
        }
        if parts[1] == "*" {
            self.size = nil
        } else {
            guard let size = Self.number(parts[1]), last < size else { return nil }
            self.size = size
        }
        self.first = first
        self.last = last
    }

    /// Digits alone: `Int64` would take a sign.
    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }
}

/// Learns a blob's size from the answer to a request for its first byte.
private final class SizeProbe: BlobReceiver {
    private let known = Mutex<Int64?>(nil)

    var size: Int64? { self.known.withLock { $0 } }

    func receive(_ head: BlobHead) throws { self.known.withLock { $0 = head.size } }

    func receive(_ part: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Void> { loop.makeSucceededVoidFuture() }
}
