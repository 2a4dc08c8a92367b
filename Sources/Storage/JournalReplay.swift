import Glibc
import OCI
import SystemPackage

/// What reading a journal from its beginning found.
///
/// Source of the rules: the recovery table in ARCHITECTURE.md. Reading changes nothing; whoever holds the store's lock
/// mends afterwards what `damage` says.
package struct JournalReplay: Sendable {
    package enum Damage: Hashable, Sendable {
        case none
        /// The file is missing, empty, or does not begin with a header.
        case unreadable
        /// Nothing valid follows `goodEnd`: an append that a crash cut short.
        case tornTail
        /// Damaged or missing lines with valid ones behind them, or whole lines that do not belong where they are.
        case gap
    }

    package private(set) var damage = Damage.none
    package private(set) var header: JournalLine.Header?
    /// The offset behind the last line up to which everything is valid.
    package private(set) var goodEnd: Int64 = 0
    /// The file's size in bytes.
    package private(set) var size: Int64 = 0
    /// The highest sequence number seen.
    package private(set) var lastSequence: Int64 = 0
    package private(set) var lineCount = 0
    /// Lines that were skipped because they are damaged or out of order.
    package private(set) var skippedLines = 0
    /// A line that a newer version marked as not to be ignored.
    package private(set) var hasRequiredUnknown = false

    private var pendingEdges: [Digest: [Edge]] = [:]
    /// Lines of another generation, or with a number that was there already.
    private var hasStrangers = false
    private var entry = JournalEntry()

    /// The same as `read`, with the records applied on another thread meanwhile; all are when this returns or throws.
    package static func readAhead(
        _ descriptor: CInt, store: String, apply: @escaping @Sendable (JournalRecord, _ behindGap: Bool) -> Void
    ) throws -> JournalReplay {
        let queue = RecordQueue(apply)
        defer { queue.finish() }
        return try Self.read(descriptor, store: store) { queue.add($0, $1) }
    }

    /// Reads a journal and hands over its records in order.
    ///
    /// - Parameter apply: called with each record, and whether it stands behind a gap, where times are not to be trusted.
    package static func read(
        _ descriptor: CInt, store: String, apply: (JournalRecord, _ behindGap: Bool) -> Void
    ) throws -> JournalReplay {
        var replay = JournalReplay()
        var scanner = LineScanner(descriptor: descriptor)
        var names = JournalNames()
        while let line = try scanner.next() {
            try replay.accept(line, store: store, names: &names, apply: apply)
            if replay.damage == .unreadable { break }
        }
        replay.size = scanner.size
        if replay.header == nil { replay.damage = .unreadable }
        if replay.damage == .none, replay.goodEnd < replay.size { replay.damage = replay.hasStrangers ? .gap : .tornTail }
        return replay
    }

    private mutating func accept(
        _ line: LineScanner.Line, store: String, names: inout JournalNames, apply: (JournalRecord, Bool) -> Void
    ) throws {
        self.lineCount += 1
        guard let generation = self.header?.generation else { return try self.acceptHeader(line, store: store) }
        guard line.isTerminated, let bytes = line.bytes, JournalLine.isIntact(bytes),
            self.entry.read(bytes, names: &names)
        else {
            self.skippedLines += 1
            return
        }
        guard self.entry.generation == generation, self.entry.sequence > self.lastSequence else {
            self.skippedLines += 1
            self.hasStrangers = true
            return
        }
        let earlier = self.pendingEdges
        switch self.entry.meaning(line: bytes, earlierEdges: { earlier[$0] ?? [] }) {
        case nil: self.skippedLines += 1
        case .edges(let digest, let edges, let position):
            self.follow(to: line.end)
            // An earlier attempt may have got no further than its edges.
            if position == 0 { self.pendingEdges[digest] = nil }
            self.pendingEdges[digest, default: []] += edges
        case .record(let record):
            self.follow(to: line.end)
            switch record {
            case .manifest(let digest, _, _, _, _) where !self.pendingEdges.isEmpty: self.pendingEdges[digest] = nil
            case .unknown(_, true): self.hasRequiredUnknown = true
            default: break
            }
            apply(record, self.damage == .gap)
        }
    }

    /// Goes on behind the present entry's line.
    private mutating func follow(to end: Int64) {
        // Everything before it is whole only when nothing was skipped and no number is missing.
        let follows = self.skippedLines == 0 && self.damage == .none && self.entry.sequence == self.lastSequence + 1
        if follows { self.goodEnd = end } else { self.damage = .gap }
        self.lastSequence = self.entry.sequence
    }

    private mutating func acceptHeader(_ line: LineScanner.Line, store: String) throws {
        guard line.isTerminated, let bytes = line.bytes, JournalLine.isIntact(bytes), let header = JournalLine.header(bytes)
        else {
            self.damage = .unreadable
            return
        }
        guard header.format == 1 else {
            throw StorageError(.tooNew, "the journal has format \(header.format); this version of Amargo reads format 1")
        }
        guard header.minReader <= 1 else {
            throw StorageError(
                .tooNew, "the journal can be read from format \(header.minReader) on; this version of Amargo reads format 1")
        }
        guard header.store == store else {
            throw StorageError(.unusable, "the journal belongs to store \(header.store), not to \(store)")
        }
        self.header = header
        self.goodEnd = line.end
    }
}

/// Cuts a file into lines in one pass. A line longer than the limit is reported without its bytes, never buffered.
private struct LineScanner {
    struct Line {
        /// Without the LF; nil when the line is too long. Valid until the next call.
        let bytes: UnsafeRawBufferPointer?
        /// The offset behind the line and its LF.
        let end: Int64
        let isTerminated: Bool
    }

    private(set) var size: Int64 = 0
    private let descriptor: CInt
    private let buffer: Buffer
    private var start = 0
    private var end = 0
    private var isAtEnd = false

    init(descriptor: CInt) {
        self.descriptor = descriptor
        self.buffer = Buffer(capacity: 1 << 20)
    }

    private final class Buffer {
        let bytes: UnsafeMutableRawBufferPointer

        init(capacity: Int) {
            self.bytes = .allocate(byteCount: capacity, alignment: 16)
        }

        deinit {
            self.bytes.deallocate()
        }
    }

    mutating func next() throws -> Line? {
        var isTooLong = false
        while true {
            let available = UnsafeRawBufferPointer(rebasing: self.buffer.bytes[self.start..<self.end])
            if let base = available.baseAddress, available.count > 0, let found = memchr(base, 0x0A, available.count) {
                let length = UnsafeRawPointer(found) - base
                let offset = self.size - Int64(self.end - self.start) + Int64(length) + 1
                self.start += length + 1
                let fits = !isTooLong && length < JournalLine.maximumLength
                return Line(
                    bytes: fits ? UnsafeRawBufferPointer(start: base, count: length) : nil, end: offset, isTerminated: true)
            }
            if self.isAtEnd {
                guard available.count > 0 || isTooLong else { return nil }
                self.start = self.end
                let fits = !isTooLong && available.count < JournalLine.maximumLength
                return Line(bytes: fits ? available : nil, end: self.size, isTerminated: false)
            }
            if available.count >= JournalLine.maximumLength {
                isTooLong = true
                self.start = self.end
            }
            try self.fill()
        }
    }

    private mutating func fill() throws {
        let bytes = self.buffer.bytes
        let kept = self.end - self.start
        if kept > 0, self.start > 0, let base = bytes.baseAddress { memmove(base, base + self.start, kept) }
        self.start = 0
        self.end = kept
        while true {
            let count = pread(self.descriptor, bytes.baseAddress?.advanced(by: kept), bytes.count - kept, off_t(self.size))
            if count < 0 {
                if Errno.current == .interrupted { continue }
                throw StorageError(.current, "read the journal")
            }
            self.isAtEnd = count == 0
            self.end += count
            self.size += Int64(count)
            return
        }
    }
}
