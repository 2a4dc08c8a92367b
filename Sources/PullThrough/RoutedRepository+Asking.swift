import Logging
import OCI
import Upstream

/// The one place from which upstreams are asked.
extension RoutedRepository {
    /// Asks for something small; every question goes through here or through `blob`.
    ///
    /// - Throws: `.offline` without asking, and what was said last where asking again would be in vain.
    func ask<T: Sendable>(_ question: (RegistryClient, RepositoryName) async throws -> T) async throws -> T {
        try self.checkReach()
        do {
            let client = self.upstream.client
            let budget = client.configuration.budget
            // The time in the queue counts.
            return try await AskingTime.limited(to: budget) {
                try await self.upstream.questions.pass(self.repository.name, within: AskingTime.remaining(of: budget)) {
                    // Whoever waited may have waited for this.
                    try self.checkReach()
                    return try await self.counted { try await self.askAgain { try await question(client, self.repository.name) } }
                }
            }
        } catch {
            self.noteDenial(error)
            throw error
        }
    }

    /// Fetches a blob or a part of it; a failure is remembered by whoever does not ask for the rest.
    func blob(_ digest: Digest, range: BlobRange, receiver: any BlobReceiver) async throws {
        try self.checkReach()
        try await self.counted {
            try await self.askAgain {
                try await self.upstream.client.blob(digest, in: self.repository.name, range: range, receiver: receiver)
            }
        }
    }

    /// Counts a question; a repository of which the registry knows something has a count of its own.
    private func counted<T: Sendable>(_ question: () async throws -> T) async throws -> T {
        do {
            let answer = try await question()
            self.traffic?.add(to: .upstreamRequests)
            return answer
        } catch {
            self.upstream.traffic?.known(self.repository).add(to: .upstreamRequests)
            throw error
        }
    }

    /// Where the traffic of a repository that has content is counted.
    package var traffic: TrafficCell? { self.upstream.traffic?.cell(self.repository) }

    /// A registry that says no, although it has just given a token, says it for a while.
    func noteDenial(_ error: any Error) {
        guard let error = error as? UpstreamError, error.code == .denied else { return }
        self.upstream.denials.note(PullThroughError(error), self.repository.name, for: self.upstream.caution.denial)
    }

    /// Notes that content by digest was other content, and raises an alarm when that goes on.
    func noteWrongContent(_ digest: Digest, _ error: PullThroughError, _ logger: Logger) {
        self.upstream.client.status.noteWrongContent()
        // Another place is asked the next time, and judged by itself.
        if self.upstream.client.avoidMirrors() {
            logger.warning(
                "[\(self.upstream.name)] A mirror sends wrong content and is passed over for a minute: \(error.message)")
            return
        }
        guard self.upstream.wrongContent.note(digest, error) else { return }
        logger.error(
            "[\(self.upstream.name)] What comes for a digest is wrong each time; it is not asked for again for a while",
            metadata: ["digest": "\(digest)", "repository": "\(self.repository.name)", "reason": "\(error.message)"])
    }

    private func checkReach() throws {
        guard !self.upstream.isOffline else { throw PullThroughError.offline("\(self.repository.name) is not asked for") }
        if let denial = self.upstream.denials.error(self.repository.name) { throw denial }
    }

    /// "Not modified" answers a condition, and we make none: asked once more.
    private func askAgain<T: Sendable>(_ question: () async throws -> T) async throws -> T {
        do {
            return try await question()
        } catch let error as UpstreamError where error.code == .notModified {
            return try await question()
        }
    }
}

extension PullThroughError {
    static func offline(_ what: String) -> PullThroughError { PullThroughError(.offline, "Amargo is offline: \(what)") }
}
