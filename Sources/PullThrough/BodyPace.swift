/// Whether a body comes so slowly that another connection is worth a try: too few bytes in a window of time.
///
/// Pure. Time for which we held the upstream back says nothing about it.
struct BodyPace: Sendable {
    let window: Duration
    /// Bytes that must come in a window.
    let minimum: Int
    private var start: ContinuousClock.Instant?
    private var count = 0
    private var wasHeldBack = false

    init(window: Duration, minimum: Int) {
        self.window = window
        self.minimum = minimum
    }

    /// A response has begun.
    mutating func began(at now: ContinuousClock.Instant) {
        self.start = now
        self.count = 0
        self.wasHeldBack = false
    }

    /// Bytes have come; true when there were too few in the window that ends with them.
    ///
    /// - Parameter isHeldBack: the next bytes are not read at once.
    mutating func received(_ count: Int, at now: ContinuousClock.Instant, isHeldBack: Bool) -> Bool {
        guard let start = self.start else { return false }
        self.count += count
        self.wasHeldBack = self.wasHeldBack || isHeldBack
        guard start.duration(to: now) >= self.window else { return false }
        let isTooSlow = self.count < self.minimum && !self.wasHeldBack
        self.began(at: now)
        self.wasHeldBack = isHeldBack
        return isTooSlow
    }
}
