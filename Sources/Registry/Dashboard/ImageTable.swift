import Glibc
import Maintenance
import OCI
import PullThrough
import Synchronization

/// All images, searched and sorted here and sent page by page: a store may have a hundred thousand.
final class ImageTable: Sendable {
    private let images: [ImageListing.Image]
    private let freshUntil: [Int64?]
    /// The texts that are searched, one behind the other, each ended by a zero.
    private let texts: [UInt8]
    private let starts: [Int]
    /// Positions by order; by name they are as they are.
    private let orders = Mutex<[ImageQuery.Order: [Int32]]>([:])

    init(_ listing: ImageListing, _ directory: UpstreamDirectory) {
        let images = listing.images
        var lifetimes: [Namespace: Duration] = [:]
        for binding in directory.bindings {
            for namespace in binding.namespaces { lifetimes[namespace] = binding.tagLifetime }
        }
        let policy = FreshnessPolicy()
        self.freshUntil = images.map { image in
            guard let entry = image.entry, !image.isImported, let lifetime = lifetimes[image.repository.namespace] else {
                return nil
            }
            return entry.fetchedAt + policy.lifetime(of: entry, ttl: lifetime)
        }
        var texts: [UInt8] = []
        var starts: [Int] = []
        for image in images {
            starts.append(texts.count)
            texts += "\(image.repository)\(image.tag.map { ":\($0)" } ?? "") \(image.digest)".utf8
            for platform in image.platforms { texts += " \(platform)".utf8 }
            if image.isPinned { texts += " pinned".utf8 }
            if image.isImported { texts += " imported".utf8 }
            texts.append(0)
        }
        starts.append(texts.count)
        // Names are in small letters but for tags.
        for index in texts.indices where (0x41...0x5A).contains(texts[index]) { texts[index] += 0x20 }
        self.images = images
        self.texts = texts
        self.starts = starts
    }

    /// - Parameter platforms: tells those of images without an index.
    func json(_ query: ImageQuery, _ platforms: ConfigPlatforms) -> String {
        let words = query.words.map { Array($0.utf8) }
        let found = self.positions(query.order).filter { self.has(words, $0) }
        let page = query.isDescending ? Array(found.reversed()) : found
        let images = page.dropFirst(query.offset).prefix(query.limit).map { self.json(Int($0), platforms) }
        return """
            {"total":\(self.images.count),"matching":\(found.count),"images":[\(images.joined(separator: ","))]}

            """
    }

    private func positions(_ order: ImageQuery.Order) -> [Int32] {
        self.orders.withLock { orders in
            if let known = orders[order] { return known }
            var positions = self.images.indices.map { Int32($0) }
            // The same ones stay in the order of their names.
            switch order {
            case .name: break
            case .size: positions.sort { (self.images[Int($0)].size, $0) < (self.images[Int($1)].size, $1) }
            case .pulled: positions.sort { (self.images[Int($0)].lastPulled, $0) < (self.images[Int($1)].lastPulled, $1) }
            }
            orders[order] = positions
            return positions
        }
    }

    private func has(_ words: [[UInt8]], _ position: Int32) -> Bool {
        if words.isEmpty { return true }
        let range = self.starts[Int(position)]..<self.starts[Int(position) + 1]
        return self.texts.withUnsafeBytes { texts in
            let text = UnsafeRawBufferPointer(rebasing: texts[range])
            return words.allSatisfy { Self.contains(text, $0) }
        }
    }

    private static func contains(_ text: UnsafeRawBufferPointer, _ word: [UInt8]) -> Bool {
        guard let first = word.first, let start = text.baseAddress else { return true }
        var offset = 0
        while offset + word.count <= text.count {
            let rest = text.count - word.count + 1 - offset
            guard let found = memchr(start + offset, CInt(first), rest) else { return false }
            offset = UnsafeRawPointer(found) - start
            if memcmp(found, word, word.count) == 0 { return true }
            offset += 1
        }
        return false
    }

    private func json(_ position: Int, _ configurations: ConfigPlatforms) -> String {
        let image = self.images[position]
        // Attestations have a platform that is none.
        var platforms = image.platforms.filter { $0 != "unknown/unknown" }
        if image.platforms.isEmpty, image.absentPlatforms == 0 {
            platforms += [configurations.platform(of: image.digest)].compactMap { $0 }
        }
        return """
            {"registry":\(JSONText.quoted("\(image.repository.namespace)")),"repository":\(JSONText.quoted("\(image.repository.name)")),\
            "tag":\(image.tag.map { JSONText.quoted($0.description) } ?? "null"),"digest":"\(image.digest)",\
            "platforms":[\(platforms.map(JSONText.quoted).joined(separator: ","))],"absentPlatforms":\(image.absentPlatforms),\
            "bytes":\(image.size),"missing":\(image.missing),"complete":\(image.isComplete),"imported":\(image.isImported),\
            "freshUntil":\(self.freshUntil[position].map(String.init) ?? "null"),"pinned":\(image.isPinned),\
            "referrers":\(image.referrers),"lastPulled":\(image.lastPulled)}
            """
    }
}
