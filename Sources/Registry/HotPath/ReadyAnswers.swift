import Glibc
import NIOCore
import NIOHTTP1
import OCI
import PullThrough
import Storage

/// The answers that one event loop has at hand: hits of manifests and small blobs, found by the bytes of the request target.
///
/// Whether something may be served is asked of the cache each time, as for every other request; what is remembered is how to ask and
/// how to say it. The table has a fixed number of places, of which a target may have one, and a limit in bytes.
final class ReadyAnswers {
    private let cache: PullThroughCache
    private let dates: DateHeader
    private let log: any HitLog
    private var places: [ReadyAnswer?]
    /// Bytes of all answers.
    private(set) var byteCount = 0
    /// Where the next one that is let go of is looked for.
    private var hand = 0
    private let limit: Int
    /// Of this loop alone, so that no other one's counting gets in the way.
    let responses = ResponseCounts()
    private let seed = UInt64.random(in: .min ... .max)

    /// - Parameter limit: bytes of all answers.
    init(cache: PullThroughCache, dates: DateHeader, log: any HitLog, limit: Int) {
        self.cache = cache
        self.dates = dates
        self.log = log
        self.limit = limit
        self.places = Array(repeating: nil, count: Limits.Memory.readyAnswers)
    }

    /// The answer to a request; nil when it takes more than a look: then nothing has happened, and somebody else answers.
    func answer(_ request: PlainRequest, in bytes: UnsafeRawBufferPointer) -> ByteBuffer? {
        guard !request.isQualified else { return nil }
        let target = UnsafeRawBufferPointer(rebasing: bytes[request.target])
        let hash = self.hash(target)
        let place = Int(truncatingIfNeeded: hash) & (self.places.count - 1)
        if let known = self.places[place], known.hash == hash, known.target.elementsEqual(target),
            known.directory === self.cache.directory
        {
            guard let found = self.find(known), self.isTaken(found, request, bytes), self.update(known, found) else { return nil }
            return self.give(known, found, request.method)
        }
        guard !self.isOfLarge(target), let made = self.make(target, hash), let found = self.find(made),
            self.isTaken(found, request, bytes),
            self.update(made, found)
        else { return nil }
        self.byteCount -= self.places[place]?.bytes.readableBytes ?? 0
        self.places[place] = made
        return self.give(made, found, request.method)
    }

    /// Lets go of what was made for upstreams that are no longer in force, and with it of them.
    func forgetOldUpstreams() {
        let directory = self.cache.directory
        for (index, answer) in self.places.enumerated() {
            guard let answer, answer.directory !== directory else { continue }
            self.byteCount -= answer.bytes.readableBytes
            self.places[index] = nil
        }
    }

    private func give(_ answer: ReadyAnswer, _ found: Found, _ method: PlainRequest.Method) -> ByteBuffer {
        answer.line?.write()
        self.responses.note(.ok)
        if case .manifest(let reference) = answer.content {
            answer.traffic?.note(.hit, .manifest)
            if method == .get {
                self.cache.notePull(
                    reference, found.moment.digest, found.mediaType, .hit, in: answer.source, counting: answer.traffic)
            }
        } else {
            answer.traffic?.note(.hit, .blob)
        }
        guard method == .get else { return answer.head }
        answer.traffic?.add(found.size, to: .bytesServed)
        return answer.bytes
    }

    /// Spread by multiplication: targets are not secret, and a clash costs one look.
    private func hash(_ target: UnsafeRawBufferPointer) -> UInt64 {
        var hash = self.seed ^ UInt64(target.count)
        var offset = 0
        func mix(_ word: UInt64) {
            let product = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            hash = product.high ^ product.low
        }
        while offset + 8 <= target.count {
            mix(target.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var tail: UInt64 = 0
        while offset < target.count {
            tail = tail << 8 | UInt64(target[offset])
            offset += 1
        }
        mix(tail)
        return hash ^ (hash >> 32)
    }

    // MARK: - What is asked for

    /// Whether a target names a stored blob that is too large for here: then a look has been enough to tell.
    private func isOfLarge(_ target: UnsafeRawBufferPointer) -> Bool {
        guard let base = target.baseAddress else { return false }
        let query = memchr(base, CInt(UInt8(ascii: "?")), target.count)
        let end = query.map { UnsafeRawPointer($0) - base } ?? target.count
        let start = end - 71
        guard start >= 0, let digest = Digest(parsing: UnsafeRawBufferPointer(rebasing: target[start..<end])) else {
            return false
        }
        return (self.cache.store.catalog.size(of: digest) ?? 0) > Limits.Memory.readyAnswer
    }

    private func make(_ target: UnsafeRawBufferPointer, _ hash: UInt64) -> ReadyAnswer? {
        // What is no such route, or leads nowhere, is somebody else's to explain.
        guard let route = try? Route(target: String(decoding: target, as: UTF8.self)) else { return nil }
        let directory = self.cache.directory
        let content: ReadyAnswer.Content
        let message: String
        let source: RoutedRepository
        switch route {
        case .manifest(let name, let reference, let ns):
            guard let routed = try? directory.route(name, ns: ns) else { return nil }
            source = routed
            content = .manifest(reference)
            message = ManifestHandler.message(CacheState.hit.label, reference, source)
        case .blob(let name, let digest, let ns):
            guard let routed = try? directory.route(name, ns: ns) else { return nil }
            source = routed
            content = .blob(digest)
            message = BlobHandler.message(.hit, digest, source)
        default: return nil
        }
        return ReadyAnswer(
            target: Array(target), hash: hash, directory: directory, source: source, content: content,
            line: self.log.line(message))
    }

    /// A hit, and what its head says.
    private struct Found {
        let moment: ReadyAnswer.Moment
        /// Nil for a blob, whose type nobody chooses.
        let mediaType: MediaType?
        let size: Int64
        let answer: ManifestAnswer?
    }

    private func find(_ answer: ReadyAnswer) -> Found? {
        let second = time(nil)
        switch answer.content {
        case .manifest(let reference):
            guard let found = self.cache.storedManifest(reference, in: answer.source), case .stored(let content) = found.body,
                content.size <= Limits.Memory.readyAnswer, let type = found.mediaType, case .hit = found.state
            else { return nil }
            return Found(
                moment: .init(digest: found.digest, age: found.age, lifetime: found.lifetime, second: second), mediaType: type,
                size: content.size, answer: found)
        case .blob(let digest):
            guard let content = self.cache.storedBlob(digest, in: answer.source), content.manifest == nil,
                content.size <= Limits.Memory.readyAnswer
            else { return nil }
            return Found(
                moment: .init(digest: digest, age: nil, lifetime: nil, second: second), mediaType: nil, size: content.size,
                answer: nil)
        }
    }

    private func isTaken(_ found: Found, _ request: PlainRequest, _ bytes: UnsafeRawBufferPointer) -> Bool {
        found.mediaType.map { request.accepts($0, in: bytes) == true } ?? true
    }

    // MARK: - How it is said

    /// Brings an answer up to this moment; false when the content cannot be had at once.
    private func update(_ answer: ReadyAnswer, _ found: Found) -> Bool {
        if answer.moment == found.moment { return true }
        guard let body = answer.body(of: found.moment.digest) ?? self.read(found.moment.digest, found.size) else { return false }
        let head: ResponseHead
        switch (answer.content, found.answer) {
        case (.manifest(let reference), let manifest?):
            head = ManifestHandler.head(manifest, length: found.size, reference, answer.source.upstream.sharing)
        default:
            head = BlobHandler.head(found.moment.digest, in: answer.source, length: found.size, state: .hit)
        }
        self.byteCount -= answer.bytes.readableBytes
        answer.set(self.serialized(head), body, at: found.moment)
        self.byteCount += answer.bytes.readableBytes
        self.makeRoom(sparing: answer)
        return true
    }

    /// The content, if it is in memory and what it should be.
    private func read(_ digest: Digest, _ size: Int64) -> ByteBuffer? {
        guard size > 0 else { return ByteBuffer() }
        guard let file = self.cache.store.openFile(digest), file.size == size, file.isResident(at: 0),
            file.isResident(at: size - 1)
        else { return nil }
        var body = ByteBuffer()
        do {
            try body.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(size)) { room in
                try file.read(at: 0, into: UnsafeMutableRawBufferPointer(rebasing: room[..<Int(size)]))
            }
        } catch {
            return nil  // whoever opens it anew says what is wrong
        }
        guard body.withUnsafeReadableBytes({ Digest(digest.algorithm, of: $0) }) == digest else { return nil }
        return body
    }

    private func serialized(_ head: ResponseHead) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(minimumWritableBytes: 1024)
        bytes.writeStaticString("HTTP/1.1 200 OK\r\n")
        func write(_ name: String, _ value: String) {
            bytes.writeString(name)
            bytes.writeStaticString(": ")
            bytes.writeString(value)
            bytes.writeStaticString("\r\n")
        }
        for (name, value) in head.headers { write(name, value) }
        write("date", self.dates.header)
        bytes.writeStaticString("\r\n")
        return bytes
    }

    /// Lets go of other answers' bytes until all fit.
    private func makeRoom(sparing answer: ReadyAnswer) {
        var looked = 0
        while self.byteCount > self.limit, looked < self.places.count {
            looked += 1
            self.hand = (self.hand + 1) & (self.places.count - 1)
            guard let other = self.places[self.hand], other !== answer else { continue }
            self.byteCount -= other.bytes.readableBytes
            other.forget()
        }
    }
}
