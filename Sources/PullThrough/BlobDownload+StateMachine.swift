import Storage

extension BlobDownload {
    /// Bytes at the end of a blob that nobody gets before its length and digest are right.
    package static let tail: Int64 = 64 << 10

    /// What the followers of a download may have at this moment. Pure: no I/O, no locks, no clocks.
    ///
    ///     waiting ──head──► arriving ──verified──► verified ──published──► (out of the table)
    ///        │                 │ │                    │
    ///        └────failed───────┘ └──detached          └──failed (a sync that failed cuts whoever still reads)
    package struct StateMachine {
        package enum Phase {
            /// The upstream has not answered yet.
            case waiting
            case arriving
            /// Length and digest are right: everything may go out.
            case verified
            /// Storing failed, or may not begin: followers go on alone from the watermark.
            case detached
            /// The content was on the disk all the time and is in the catalog now.
            case stored
            case failed(PullThroughError)
        }

        package private(set) var phase = Phase.waiting
        /// Size in bytes; nil while, or because, nobody knows.
        package private(set) var size: Int64?
        /// Bytes that are in the spool file.
        package private(set) var watermark: Int64 = 0

        package init() {}

        /// Bytes from the start that may be sent.
        package var released: Int64 {
            switch self.phase {
            case .waiting, .failed, .stored: 0
            case .verified: self.watermark
            case .arriving, .detached: max(0, min(self.watermark, (self.size ?? self.watermark) - BlobDownload.tail))
            }
        }

        package enum HeadStep {
            case wait
            /// The response's head may go out.
            case head(size: Int64?)
            case stored
            case relay
            case fail(PullThroughError)
        }

        /// Whether a response's head may go out. A blob that fits into the tail waits for its verification, so that a bad one
        /// becomes a proper error, unless the client has waited long already.
        package func headStep(isImpatient: Bool) -> HeadStep {
            switch self.phase {
            case .waiting: .wait
            case .verified: .head(size: self.size)
            case .arriving:
                self.released > 0 || (self.size ?? 0) > BlobDownload.tail || isImpatient ? .head(size: self.size) : .wait
            // What the spool holds and may go out comes from the spool; a relay begins only behind it.
            case .detached: self.released > 0 ? .head(size: self.size) : .relay
            case .stored: .stored
            case .failed(let error): .fail(error)
            }
        }

        package enum BodyStep {
            case wait
            /// Bytes from the follower's offset on, this many.
            case send(count: Int64)
            case end
            case relay
            case fail(PullThroughError)
        }

        /// What a follower at `offset` does next, when it wants bytes up to `end` (nil: all there are).
        package func bodyStep(at offset: Int64, upTo end: Int64?) -> BodyStep {
            if case .failed(let error) = self.phase { return .fail(error) }
            if let end, offset >= end { return .end }
            let available = min(self.released, end ?? .max) - offset
            if available > 0 { return .send(count: available) }
            switch self.phase {
            case .verified: return .end
            case .detached: return .relay
            default: return .wait
            }
        }

        /// Whether what has come is right as far as anybody knows, and more of it may come another time.
        package var isWorthKeeping: Bool {
            guard case .failed(let error) = self.phase else { return false }
            switch error.code {
            case .upstreamUnavailable, .upstreamUnreachable, .upstreamTimeout, .offline, .unavailable: return true
            default: return false
            }
        }

        // MARK: - Events. Each says whether followers have something new.

        package mutating func began(size: Int64?) -> Bool {
            guard case .waiting = self.phase else { return false }
            self.phase = .arriving
            self.size = size
            return true
        }

        package mutating func advanced(to watermark: Int64) -> Bool {
            let before = self.released
            self.watermark = watermark
            return self.released > before
        }

        /// Begins from nothing again; only before anybody had a byte.
        package mutating func restarted() -> Bool {
            guard case .waiting = self.phase else { return false }
            self.watermark = 0
            return true
        }

        package mutating func verified() -> Bool {
            guard case .arriving = self.phase else { return false }
            self.phase = .verified
            self.size = self.watermark
            return true
        }

        package mutating func detached() -> Bool {
            switch self.phase {
            case .waiting, .arriving:
                self.phase = .detached
                return true
            default: return false
            }
        }

        package mutating func stored() -> Bool {
            guard case .waiting = self.phase else { return false }
            self.phase = .stored
            return true
        }

        package mutating func failed(_ error: PullThroughError) -> Bool {
            if case .failed = self.phase { return false }
            self.phase = .failed(error)
            return true
        }
    }
}
