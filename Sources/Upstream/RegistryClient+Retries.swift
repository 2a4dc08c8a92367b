import Logging
import OCI

/// Whom to ask next, and whether once more.
extension RegistryClient {
    /// Runs an exchange until it succeeds, fails for good, or the budget is spent: at the mirrors first, and at the registry itself when
    /// none of them has what is wanted.
    func withRetries<T: Sendable>(
        _ kind: Transport.Kind, _ work: (Endpoint, _ deadline: ContinuousClock.Instant) async throws -> T
    ) async throws -> T {
        let deadline = AskingTime.deadline(within: self.configuration.budget)
        var attempt = 0
        var cause: UpstreamError?
        var round = Round()
        while true {
            let outcome = try await self.ask(&round, kind, deadline, work)
            guard case .failed(let error, let isFinal) = outcome else {
                guard case .succeeded(let value) = outcome else { continue }
                return value
            }
            attempt += 1
            let remaining = ContinuousClock.now.duration(to: deadline)
            guard !isFinal,
                let delay = self.retry.delay(before: attempt, after: error, remaining: remaining, random: .random(in: 0...1))
            else {
                self.status.failed(error)
                // A last attempt that our own budget ended says less than what went wrong before it, and so does one that was not made.
                throw isFinal || remaining <= .zero && error.code == .timeout ? cause ?? error : error
            }
            cause = error.code == .timeout ? cause : error
            self.logger.debug("Asking an upstream again", metadata: ["reason": "\(error)", "attempt": "\(attempt + 1)"])
            try await Task.sleep(for: delay)
        }
    }

    /// What one operation has learned about the places it asked.
    private struct Round {
        /// Those that need not be asked again: they have answered, and not with what is wanted.
        var exhausted: Set<Int> = []
        /// Those whose failure was counted: an operation counts once, however often it tries.
        var counted: Set<Int> = []
    }

    private enum Outcome<T> {
        case succeeded(T)
        /// Final when nobody was asked: asking again at once would be no different.
        case failed(UpstreamError, isFinal: Bool)
    }

    private func ask<T: Sendable>(
        _ round: inout Round, _ kind: Transport.Kind, _ deadline: ContinuousClock.Instant,
        _ work: (Endpoint, _ deadline: ContinuousClock.Instant) async throws -> T
    ) async throws -> Outcome<T> {
        var failure = UpstreamError(.unreachable, self.say("is not asked"))
        var isFinal = true
        for (index, endpoint) in self.endpoints.enumerated() where !round.exhausted.contains(index) {
            if endpoint.isMirror, endpoint.isAvoided { continue }
            if let refusal = endpoint.refusal(kind) {
                failure = refusal
                isFinal = true
                continue
            }
            do {
                // A mirror that hangs must leave time for whoever comes after it.
                let value = try await work(endpoint, endpoint.isMirror ? min(deadline, .now + Limits.Upstream.mirror) : deadline)
                self.answered(endpoint)
                return .succeeded(value)
            } catch let failure as BodyFailure {
                if !failure.isOurs {
                    // The rest is asked for elsewhere.
                    if endpoint.isMirror { endpoint.avoid() }
                    self.status.count(failure.error)
                    self.status.failed(failure.error)
                }
                throw failure.error
            } catch let error as UpstreamError {
                if error.code == .cancelled { throw error }
                self.status.count(error)
                if case .rateLimited(let seconds) = error.code { endpoint.limited(retryAfter: seconds, kind) }
                self.count(error, endpoint, isFirst: round.counted.insert(index).inserted)
                if endpoint.isMirror {
                    self.logger.debug("A mirror does not help", metadata: ["reason": "\(error)"])
                    round.exhausted.insert(index)
                }
                failure = error
                isFinal = false
            }
        }
        return .failed(failure, isFinal: isFinal)
    }

    private func count(_ error: UpstreamError, _ endpoint: Endpoint, isFirst: Bool) {
        switch error.code {
        case .unreachable, .timeout, .unavailable:
            guard !error.isOthers, isFirst, endpoint.breaker.failed(error.message) else { return }
            self.logger.warning(
                "[\(self.configuration.name)] \(endpoint.address.authority) fails and is left alone for a while: \(error)")
        // A body that broke says nothing of the next request.
        case .interrupted: break
        default: self.answered(endpoint)
        }
    }

    private func answered(_ endpoint: Endpoint) {
        guard endpoint.breaker.succeeded() else { return }
        self.logger.notice("[\(self.configuration.name)] \(endpoint.address.authority) answers again")
    }
}
