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
    let retry = RetryPolicy()
    /// Mirrors first, the registry itself last.
    let endpoints: [Endpoint]
    let bandwidth: BandwidthLimit?
    let logger: Logger

    package init(_ configuration: UpstreamConfiguration, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        self.bandwidth = configuration.bandwidthLimit > 0 ? BandwidthLimit(rate: configuration.bandwidthLimit) : nil
        let circuit = configuration.circuit
        self.endpoints = (configuration.mirrors.map { ($0, true) } + [(configuration.address, false)]).map { address, isMirror in
            Endpoint(
                address, isMirror: isMirror, transport: Transport(configuration, of: address, isMirror: isMirror, group: group),
                breaker: CircuitBreaker(
                    threshold: isMirror ? min(2, circuit.failures) : circuit.failures, window: circuit.window,
                    pause: circuit.pause))
        }
    }

    /// Closes every connection; requests under way fail.
    package func shutdown() async {
        for endpoint in self.endpoints { await endpoint.transport.shutdown(self.logger) }
    }

    /// Passes the mirrors over for a while, because one of them has sent wrong content.
    ///
    /// - Returns: false when none was asked: then it was the registry itself.
    package func avoidMirrors() -> Bool {
        let asked = self.endpoints.filter { $0.isMirror && !$0.isAvoided && !$0.breaker.isOpen }
        for endpoint in asked { endpoint.avoid() }
        return !asked.isEmpty
    }

    /// The places that are asked, in order, and whether each is left alone at the moment.
    package var places: [(address: UpstreamAddress, isOpen: Bool)] {
        self.endpoints.map { ($0.address, $0.breaker.isOpen) }
    }

    // MARK: - Manifests

    /// A manifest's exact bytes (at most 4 MiB) and the media type they came with.
    package struct ManifestResponse: Sendable {
        package let bytes: ByteBuffer
        package let mediaType: MediaType?
        /// What the registry says that the bytes are; they are what they are.
        package let claim: String?
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
            .GET, "manifests/\(reference)", in: repository, limit: Limits.Documents.manifest, accept: Self.manifestTypes
        ) { response in
            guard Self.mediaType(response.head).map({ MediaType.manifests.contains($0) }) == true else { return false }
            guard case .digest(let digest) = reference else { return true }
            return response.body.withUnsafeReadableBytes { Digest(digest.algorithm, of: $0) } == digest
        }
        return ManifestResponse(
            bytes: response.body, mediaType: Self.mediaType(response.head),
            claim: response.head.headers.first(name: "docker-content-digest"))
    }

    /// Asks by HEAD; a registry that does not know it (405, 501) is asked by GET.
    package func manifestHead(_ reference: Reference, in repository: RepositoryName) async throws -> ManifestHead {
        do {
            let head = try await self.ask(
                .HEAD, "manifests/\(reference)", in: repository, limit: Limits.Upstream.errorDocument, accept: Self.manifestTypes
            ).head
            let digest = head.headers.first(name: "docker-content-digest").flatMap { text in
                try? Digest(parsing: text)  // a malformed digest is as good as none: the caller asks by GET
            }
            return ManifestHead(digest: digest, mediaType: Self.mediaType(head), size: Self.contentLength(head))
        } catch let error as UpstreamError where error.code == .invalidResponse || error.code == .notModified {
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

    func ask(
        _ method: HTTPMethod, _ path: String, query: String = "", in repository: RepositoryName, limit: Int, accept: String,
        isUsable: @Sendable (ExchangeDelegate.Response) -> Bool = { _ in true }
    ) async throws -> ExchangeDelegate.Response {
        let request = RegistryRequest(method: method, repository: repository, path: path, accept: accept, query: query)
        return try await self.withRetries(.metadata) { endpoint, deadline in
            let response = try await self.exchange(request, at: endpoint, .metadata, limit: limit, deadline: deadline) { _ in nil
            }
            guard response.head.status == .ok else { throw self.error(for: response, request, at: endpoint) }
            // Of the registry itself it is told what is wrong; a mirror is passed over.
            guard !endpoint.isMirror || isUsable(response) else {
                endpoint.avoid()
                throw UpstreamError(.invalidResponse, "\(endpoint.address.authority) sent something else than \(path)")
            }
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
        _ = try await self.withRetries(.blobs) { endpoint, deadline in
            let response = try await self.exchange(
                request, at: endpoint, .blobs, limit: Limits.Upstream.errorDocument, deadline: deadline
            ) {
                head in
                guard let blobHead = try self.blobHead(of: head, range: range) else { return nil }
                try receiver.receive(blobHead)
                return receiver
            }
            guard (200..<300).contains(response.head.status.code) else { throw self.error(for: response, request, at: endpoint) }
            return response
        }
    }

    /// The size of a blob, asked by HEAD: nothing is downloaded.
    ///
    /// Some registries know no HEAD for blobs (405, 501), or refuse it although the token is good (public.ecr.aws): those are
    /// asked for the first byte.
    package func blobSize(_ digest: Digest, in repository: RepositoryName) async throws -> Int64? {
        do {
            let response = try await self.ask(
                .HEAD, "blobs/\(digest)", in: repository, limit: Limits.Upstream.errorDocument, accept: "*/*")
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

    func say(_ what: String) -> String { "\(self.configuration.address.authority) \(what)" }
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
}

/// A failure after the response's head: not to be retried as if nothing had been said.
struct BodyFailure: Error {
    let error: UpstreamError
    /// It was not the registry that failed, but whoever received the body.
    let isOurs: Bool
}

/// Learns a blob's size from the answer to a request for its first byte.
private final class SizeProbe: BlobReceiver {
    private let known = Mutex<Int64?>(nil)

    var size: Int64? { self.known.withLock { $0 } }

    func receive(_ head: BlobHead) throws { self.known.withLock { $0 = head.size } }

    func receive(_ part: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Void> { loop.makeSucceededVoidFuture() }
}
