import Foundation
import Synchronization

/// A registry on loopback that behaves as the distribution specification asks, until a script makes it evil.
///
/// It writes raw bytes, one thread a connection, and records what it receives. It stops when it is deallocated.
///
/// Without a script: `/v2/`, manifests by tag and digest, blobs with single ranges, `ETag`, `If-None-Match`,
/// `If-Range`, `tags/list` with `n` and `last`, files at any path, 404s with OCI errors. No referrers API (404).
package final class ScriptedUpstream: Sendable {
    package let port: Int
    private let state: UpstreamState
    private let listener: Mutex<Socket?>
    /// Keeps the port while nobody listens on it: else another test's server could answer there.
    private let placeholder = Mutex<Socket?>(nil)

    /// - Parameter tokenService: whether `/v2/` wants a Bearer token of `/token`, valid for one repository's scope.
    package init(tokenService: Bool = false) throws {
        let listener = try Socket.listening(on: 0)
        self.port = listener.localPort
        self.state = UpstreamState(port: self.port, tokens: tokenService ? TokenService() : nil)
        self.listener = Mutex(nil)
        self.start(listener)
    }

    deinit { self.stop() }

    /// Without a trailing slash.
    package var url: String { "http://127.0.0.1:\(self.port)" }

    // MARK: Life

    /// Closes the listener and every connection: from now on connecting is refused. Idempotent.
    package func stop() {
        let listener = self.listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        guard let listener else { return }
        listener.abort()
        // The accept thread closes the listener; without this wait a connection could slip in between.
        let limit = ContinuousClock.now.advanced(by: defaultWait)
        while self.state.isAccepting, .now < limit { Thread.sleep(forTimeInterval: 0.001) }
        self.state.abortConnections()
        let held = try? Socket.holding(self.port)  // then nobody keeps it
        self.placeholder.withLock { $0 = held }
    }

    /// Listens again on the same port with the same content, scripts and records.
    package func restart() throws {
        self.stop()
        self.placeholder.withLock { $0 = nil }
        self.start(try Socket.listening(on: self.port))
    }

    /// Ends all connections with FIN, idle or not, but goes on listening.
    package func closeConnections() { self.state.abortConnections() }

    private func start(_ listener: Socket) {
        self.state.setAccepting(true)
        self.listener.withLock { $0 = listener }
        Thread { [state] in state.acceptConnections(on: listener) }.start()
    }

    // MARK: Content

    @discardableResult
    package func addBlob(_ bytes: [UInt8], in repository: String, algorithm: String = "sha256") -> String {
        let digest = algorithm == "sha512" ? "sha512:\(sha512Hex(bytes))" : "sha256:\(sha256Hex(bytes))"
        self.state.content.withLock { $0.addBlob(bytes, digest: digest, in: repository) }
        return digest
    }

    /// Stores bytes under a digest that need not be theirs.
    package func addBlob(_ bytes: [UInt8], in repository: String, claiming digest: String) {
        self.state.content.withLock { $0.addBlob(bytes, digest: digest, in: repository) }
    }

    @discardableResult
    package func addManifest(
        _ bytes: [UInt8], mediaType: String, in repository: String, tag: String? = nil
    ) -> String {
        let digest = "sha256:\(sha256Hex(bytes))"
        self.state.content.withLock { content in
            content.addManifest(bytes, mediaType: mediaType, digest: digest, in: repository)
            if let tag { content.setTag(tag, in: repository, to: digest) }
        }
        return digest
    }

    package func setTag(_ tag: String, in repository: String, to digest: String) {
        self.state.content.withLock { $0.setTag(tag, in: repository, to: digest) }
    }

    package func removeTag(_ tag: String, in repository: String) {
        self.state.content.withLock { $0.setTag(tag, in: repository, to: nil) }
    }

    /// Removes a blob or manifest; tags that point at it then answer `MANIFEST_UNKNOWN`.
    package func remove(_ digest: String, in repository: String) {
        self.state.content.withLock { $0.remove(digest, in: repository) }
    }

    /// Serves bytes at a path outside the distribution API (the target of a redirect) or one it lacks (referrers).
    package func addFile(_ bytes: [UInt8], at path: String, mediaType: String = "application/octet-stream") {
        self.state.content.withLock { $0.addFile(bytes, mediaType: mediaType, at: path) }
    }

    // MARK: Tokens

    /// `expires_in` of the tokens to come, which is also how long, by the real clock, they work.
    package func setTokenLifetime(seconds: Int) { self.state.tokens.withLock { $0?.lifetime = seconds } }

    /// All tokens given out stop working now.
    package func revokeTokens() { self.state.tokens.withLock { $0?.revokeAll() } }

    /// Makes a token of the test's own valid, to go with a scripted answer of `/token`.
    package func acceptToken(_ token: String, scope: String) {
        self.state.tokens.withLock { $0?.accept(token, scopes: [scope]) }
    }

    // MARK: Scripts

    /// Each matching request takes the next behaviour; after the last one service is proper again.
    ///
    /// Several calls queue up: the oldest matching script with something left goes first, and before `scriptForever`.
    package func script(_ matcher: RequestMatcher, _ behaviours: Behaviour...) {
        self.state.addScript(matcher, behaviours, repeats: false)
    }

    package func script(_ matcher: RequestMatcher, _ behaviours: [Behaviour]) {
        self.state.addScript(matcher, behaviours, repeats: false)
    }

    /// Every matching request that no queued behaviour takes; of several the newest wins.
    package func scriptForever(_ matcher: RequestMatcher, _ behaviour: Behaviour) {
        self.state.addScript(matcher, [behaviour], repeats: true)
    }

    package func clearScripts() { self.state.clearScripts() }

    /// Queued behaviours that no request has taken yet.
    package var pendingBehaviourCount: Int { self.state.pendingBehaviourCount }

    // MARK: Records

    /// All requests so far, in order of arrival; also those answered with a challenge.
    package var requests: [RecordedRequest] { self.state.requests }

    package func requests(matching matcher: RequestMatcher) -> [RecordedRequest] {
        self.requests.filter(matcher.matches)
    }

    package func requests(
        _ method: String? = nil, path: String? = nil, contains: String? = nil, suffix: String? = nil
    ) -> [RecordedRequest] {
        self.requests(matching: RequestMatcher(method: method, path: path, contains: contains, suffix: suffix))
    }

    /// Body bytes the kernel took for the response to this request: at least what the client read.
    package func bodyBytesSent(for request: RecordedRequest) -> Int { self.state.bodyBytesSent(for: request.id) }

    package var openConnectionCount: Int { self.state.openConnectionCount }
    package var acceptedConnectionCount: Int { self.state.acceptedConnectionCount }

    /// Returns the matching requests once there are at least `count`.
    @discardableResult
    package func waitForRequests(
        count: Int, matching matcher: RequestMatcher = .any
    ) async throws -> [RecordedRequest] {
        try await eventually("\(count) requests") { self.requests(matching: matcher).count >= count }
        return self.requests(matching: matcher)
    }

    package func waitUntil(_ condition: @Sendable ([RecordedRequest]) -> Bool) async throws {
        try await eventually("a condition on the requests") { condition(self.requests) }
    }

    /// Returns once `condition` holds for the number of open connections; 0: the peer has let go of all.
    package func waitForOpenConnections(_ condition: @Sendable (Int) -> Bool) async throws {
        try await eventually("a number of open connections") { condition(self.openConnectionCount) }
    }
}
