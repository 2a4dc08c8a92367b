import OCI
import Synchronization

/// Checks a bundle without a store: whether all is there that it describes, and every byte right.
package struct BundleVerification: Sendable {
    package struct Result: Sendable {
        package let form: Bundle.Form
        package var images: [BundleImage] = []
        /// Each a sentence.
        package var findings: [String] = []
        package var notes: [String] = []
        package var blobs = 0
        package var bytes: Int64 = 0
    }

    private let spool: any BundleSpool
    private let report: @Sendable (ImportEvent) -> Void

    package init(spool: any BundleSpool, report: @escaping @Sendable (ImportEvent) -> Void) {
        self.spool = spool
        self.report = report
    }

    /// Blocks for as long as hashing takes.
    ///
    /// - Throws: `BundleError` when it is no bundle that could be believed.
    package func run(_ input: BundleInput, opener: any BundleOpener, naming: BundleNaming) throws -> Result {
        let parts = try self.checkParts(input, opener)
        let reading = ProgressMeter(.reading, total: 0, self.report)
        let bundle: Bundle
        do {
            bundle = try Bundle(input, opener: opener, spool: self.spool) { count in
                reading.add(Int64(count))
                return true
            }
        } catch let error as BundleError where !parts.isEmpty {
            throw BundleError(error.code, (parts + [error.message]).joined(separator: "; "))
        }
        let plan = try BundlePlan(bundle, shelf: EmptyShelf(), naming: naming, unnamed: .accepted)
        var result = Result(form: bundle.form, images: plan.images, findings: parts, notes: plan.notes)
        for image in plan.images where !image.missing.isEmpty { Self.note(image, bundle, &result) }
        try self.hash(bundle, plan, &result)
        return result
    }

    private static func note(_ image: BundleImage, _ bundle: Bundle, _ result: inout Result) {
        let count = image.missing.count
        let list =
            image.missing.prefix(3).map(\.description).joined(separator: ", ") + (count > 3 ? " and \(count - 3) more" : "")
        if bundle.delta != nil {
            result.notes.append("\(image.title) needs what the other side has by its receipt: \(list)")
        } else {
            result.findings.append("\(image.title) is incomplete: the bundle lacks \(list)")
        }
    }

    /// Compares the parts of a split bundle with their checksums.
    private func checkParts(_ input: BundleInput, _ opener: any BundleOpener) throws -> [String] {
        guard !input.checksums.isEmpty else { return [] }
        let findings = Mutex<[String]>([])
        let failure = Mutex<(any Error)?>(nil)
        Workers.run(input.parts.count) { index in
            do {
                let piece = BundlePiece(whole: try BundleFile([try opener.open(part: index)]))
                if try piece.digest(.sha256) != input.checksums[index] {
                    findings.withLock { $0.append("\(input.parts[index]) is damaged: its checksum is another; copy it again") }
                }
                return true
            } catch {
                failure.withLock { $0 = error }
                return false
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        return findings.withLock { $0.sorted() }
    }

    private func hash(_ bundle: Bundle, _ plan: BundlePlan, _ result: inout Result) throws {
        var sizes: [Digest: Int64] = [:]
        for image in plan.images { for content in image.contents { sizes[content.digest] = content.size } }
        let digests = bundle.contents ?? sizes.keys.sorted()
        let meter = ProgressMeter(.storing, total: sizes.values.reduce(0, +), self.report)
        let outcome = Mutex((blobs: 0, bytes: Int64(0), damaged: [Digest](), failure: (any Error)?.none))
        Workers.run(digests.count) { index in
            let digest = digests[index]
            do {
                guard let piece = try bundle.piece(digest) else { return true }
                let found = try piece.digest(digest.algorithm) { count in
                    meter.add(Int64(count))
                    return true
                }
                outcome.withLock { outcome in
                    outcome.blobs += 1
                    outcome.bytes += piece.size
                    if found != digest { outcome.damaged.append(digest) }
                }
                return true
            } catch {
                outcome.withLock { $0.failure = error }
                return false
            }
        }
        let ended = outcome.withLock { $0 }
        if let failure = ended.failure { throw failure }
        result.blobs = ended.blobs
        result.bytes = ended.bytes
        for digest in ended.damaged.sorted() {
            let owners = plan.images.filter { $0.contents.contains { $0.digest == digest } }.map(\.title)
            result.findings.append(
                "\(digest) is damaged: its bytes are others"
                    + (owners.isEmpty ? "" : "; \(owners.joined(separator: ", ")) needs it"))
        }
    }
}
