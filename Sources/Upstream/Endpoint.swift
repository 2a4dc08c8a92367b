import OCI
import Synchronization

/// One place where a registry's content can be had, and what is remembered of it.
final class Endpoint: Sendable {
    let address: UpstreamAddress
    /// Whether it is asked before the registry itself, and may lack things.
    let isMirror: Bool
    let breaker: CircuitBreaker
    let transport: Transport
    let tokens = TokenCache()
    /// Registries count manifests, not blobs: a limit on the one says nothing about the other.
    private let metadataCooldown = Cooldown()
    private let blobCooldown = Cooldown()
    /// Until when a mirror is passed over that has sent something wrong.
    private let avoidedUntil = Mutex<ContinuousClock.Instant?>(nil)

    init(_ address: UpstreamAddress, isMirror: Bool, transport: Transport, breaker: CircuitBreaker) {
        self.transport = transport
        self.address = address
        self.isMirror = isMirror
        self.breaker = breaker
    }

    private func cooldown(_ kind: Transport.Kind) -> Cooldown { kind == .blobs ? self.blobCooldown : self.metadataCooldown }

    /// Why it is not asked at the moment; nil when it may be.
    func refusal(_ kind: Transport.Kind) -> UpstreamError? {
        if let seconds = self.cooldown(kind).remaining {
            return UpstreamError(
                .rateLimited(retryAfter: seconds),
                "\(self.address.authority) limits our requests; it is asked again in \(seconds) s")
        }
        guard case .stop(let seconds, let reason) = self.breaker.verdict() else { return nil }
        return UpstreamError(
            .unreachable, "\(self.address.authority) fails, and is asked again in \(seconds) s: \(reason)")
    }

    /// Whether a mirror is asked at the moment.
    var isAvoided: Bool { self.avoidedUntil.withLock { $0.map { $0 > .now } ?? false } }

    /// Passes a mirror over for a while: what it sent cannot be used.
    func avoid() { self.avoidedUntil.withLock { $0 = .now + Limits.Upstream.mirrorAvoidance } }

    func limited(retryAfter seconds: Int?, _ kind: Transport.Kind) { self.cooldown(kind).begin(retryAfter: seconds) }
}
