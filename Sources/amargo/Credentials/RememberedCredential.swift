import Synchronization
import Upstream

/// Asks a source once for a while, however many requests need its answer; and again at once when the registry refuses it.
final class RememberedCredential: CredentialSource {
    private struct Entry {
        let result: Result<Credential?, any Error>
        let until: ContinuousClock.Instant

        var credential: Credential? { try? self.result.get() }
    }

    /// How long a failure is remembered: who waits for a program that fails must not start it with each request.
    private static let failureLifetime = Duration.seconds(10)

    private let source: any CredentialSource
    private let lifetime: Duration
    private let entries = Mutex<[UpstreamAddress: Entry]>([:])
    private let flights = SingleFlight<UpstreamAddress, Credential?>()

    init(_ source: any CredentialSource, lifetime: Duration = .seconds(300)) {
        self.source = source
        self.lifetime = lifetime
    }

    func credential(for address: UpstreamAddress, rejected: Credential?) async throws -> Credential? {
        let known = self.entries.withLock { $0[address] }
        if let known, known.until > .now, rejected == nil || known.credential != rejected { return try known.result.get() }
        return try await self.flights.run(address) {
            do {
                let credential = try await self.source.credential(for: address, rejected: rejected)
                self.entries.withLock { $0[address] = Entry(result: .success(credential), until: .now + self.lifetime) }
                return credential
            } catch {
                self.entries.withLock { $0[address] = Entry(result: .failure(error), until: .now + Self.failureLifetime) }
                throw error
            }
        }
    }
}
