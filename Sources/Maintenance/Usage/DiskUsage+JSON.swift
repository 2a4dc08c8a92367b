import OCI
import Storage

extension DiskUsage.Figures {
    /// As members of a JSON object, without its braces. Bytes are exact.
    package var json: String {
        """
        "logicalBytes":\(self.logical),"uniqueBytes":\(self.unique),"sharedBytes":\(self.shared),\
        "attributedBytes":\(self.attributed),"blobs":\(self.blobs),"images":\(self.images),\
        "lastPulled":\(self.lastPulled),"pulls":\(self.pulls)
        """
    }
}

extension DiskUsage.Orphans {
    package var json: String {
        "{\"blobs\":\(self.blobs),\"logicalBytes\":\(self.logical),\"allocatedBytes\":\(self.allocated)}"
    }
}

extension StoreSpace {
    package var json: String {
        """
        {"measured":\(self.isMeasured),"journalBytes":\(self.journal),"spoolBytes":\(self.spool),\
        "quarantineBytes":\(self.quarantine),"folderBytes":\(self.folders),"copiedBytes":\(self.copies),\
        "unknownBytes":\(self.unknown),"otherBytes":\(self.other),"unreadableFolders":\(self.unreadable),"maxSize":\(self.maxSize),"minFree":\(self.minFree),\
        "freeBytes":\(self.free.map(String.init) ?? "null")}
        """
    }
}

extension DiskUsage {
    /// An image as members of a JSON object, without its braces.
    package func json(of image: Image) -> String {
        """
        "digest":"\(image.digest)","tags":[\(image.tags.map { JSONText.quoted($0.description) }.joined(separator: ","))],\
        "pinned":\(image.isPinned),\(image.figures.json)
        """
    }

    /// The totals, as members of a JSON object, without its braces: what the images and the orphans add up to.
    package var totals: String {
        """
        "blobs":\(self.blobs),"contentBytes":\(self.contentBytes),"allocatedBytes":\(self.allocated),"images":\(self.images.count),\
        "logicalBytes":\(self.figures.logical),"lastPulled":\(self.figures.lastPulled),"pulls":\(self.figures.pulls)
        """
    }

    /// The whole tree in one JSON document: registries, in them repositories, in those images.
    ///
    /// - Parameter limit: how many images of a repository are written one by one, those with the largest share; `rest` sums the others up.
    package func json(_ space: StoreSpace?, imagesOfEach limit: Int = .max) -> String {
        var text =
            "{\"total\":{\(self.totals)},\"orphans\":\(self.orphans.json),\"store\":\(space?.json ?? "null"),\"registries\":["
        for (number, registry) in self.registries.enumerated() {
            text += number == 0 ? "{" : ",{"
            text += "\"name\":\(JSONText.quoted(registry.name.description)),\(registry.figures.json),\"repositories\":["
            for (number, repository) in self.repositories[registry.repositories].enumerated() {
                text += number == 0 ? "{" : ",{"
                text += "\"name\":\(JSONText.quoted(repository.name.name.description)),\(repository.figures.json),\"items\":["
                var images = Array(self.images[repository.images])
                if images.count > limit { images.sort { $0.figures.attributed > $1.figures.attributed } }
                text += images.prefix(limit).map { "{\(self.json(of: $0))}" }.joined(separator: ",")
                let rest = images.dropFirst(limit)
                let bytes = rest.reduce(0) { $0 + $1.figures.attributed }
                text += "],\"rest\":{\"images\":\(rest.count),\"attributedBytes\":\(bytes)}}"
            }
            text += "]}"
        }
        return text + "]}"
    }
}
