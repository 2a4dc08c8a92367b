import Glibc

/// Room on the store's disk, beside what the configuration wants to be left and to be used.
struct SpaceCheck: BlockingCheck {
    /// statvfs(3), in bytes.
    struct Numbers: Equatable, Sendable {
        var size: Int64
        /// For whoever is not root.
        var available: Int64
        var files: Int64
        var availableFiles: Int64

        init(size: Int64, available: Int64, files: Int64, availableFiles: Int64) {
            self.size = size
            self.available = available
            self.files = files
            self.availableFiles = availableFiles
        }

        init?(of path: String) {
            var status = statvfs()
            guard statvfs(path, &status) == 0 else { return nil }
            let block = Int64(status.f_frsize)
            self.size = Int64(status.f_blocks) * block
            self.available = Int64(status.f_bavail) * block
            self.files = Int64(status.f_files)
            self.availableFiles = Int64(status.f_favail)
        }
    }

    let id = "space.free"
    let settings: Settings
    var measure: @Sendable (_ path: String) -> Numbers? = { Numbers(of: $0) }

    func look() -> [Diagnosis] {
        guard let numbers = self.measure(Mount.existing(self.settings.storePath)), numbers.size > 0 else { return [] }
        return [self.free(numbers), self.cap(numbers), self.inodes(numbers)]
    }

    private func place(_ key: String) -> String { self.settings.origins[key].map { "\(key) (\($0))" } ?? key }

    private static let whatFills = "What fills it: amargo du. Make room: amargo rm IMAGE, amargo gc"

    private func free(_ numbers: Numbers) -> Diagnosis {
        let available = Quantity.describe(bytes: numbers.available)
        let wanted = Quantity.describe(bytes: self.settings.minFree)
        let of = "\(available) of \(Quantity.describe(bytes: numbers.size)) are free"
        if numbers.available < self.settings.minFree {
            return Diagnosis(
                self.id, .problem, "\(of), less than minFree (\(wanted)): what is pulled is passed on without being stored",
                Self.whatFills, "Or let less stay free: \(self.place("store.minFree"))")
        }
        if numbers.available < 2 * self.settings.minFree {
            return Diagnosis(self.id, .warning, "\(of); below \(wanted) nothing is stored any more", Self.whatFills)
        }
        return Diagnosis(self.id, .ok, of)
    }

    private func cap(_ numbers: Numbers) -> Diagnosis {
        let cap = self.settings.maxSize
        let size = Quantity.describe(bytes: numbers.size)
        // What is left when the disk shall have its minimum.
        let suggestion = Quantity.describe(bytes: max(0, (numbers.size - self.settings.minFree) / 10 * 8)).replacing(
            " ", with: "")
        if cap > 0, cap > numbers.size - self.settings.minFree {
            return Diagnosis(
                "space.cap", .warning, "maxSize (\(Quantity.describe(bytes: cap))) cannot be reached on a disk of \(size)",
                "Nothing is evicted before the disk is full: set maxSize: \"\(suggestion)\" in \(self.place("store.maxSize"))")
        }
        if cap > 0 { return Diagnosis("space.cap", .ok, "maxSize is \(Quantity.describe(bytes: cap)), the disk has \(size)") }
        let used = 100 - Int(Double(numbers.available) / Double(numbers.size) * 100)
        if used > 85 {
            return Diagnosis(
                "space.cap", .warning, "the store has no cap, and its disk is \(used) % full",
                "Let what nobody pulls make room: maxSize: \"\(suggestion)\" in store", Self.whatFills)
        }
        return Diagnosis("space.cap", .ok, "the store has no cap; its disk is \(used) % full")
    }

    private func inodes(_ numbers: Numbers) -> Diagnosis {
        // btrfs and others have as many as are needed, and say 0.
        guard numbers.files > 0 else { return Diagnosis("space.inodes", .ok, "the file system makes as many as are needed") }
        let text = "\(numbers.availableFiles) of \(numbers.files) are free"
        if numbers.availableFiles < 1000 {
            return Diagnosis("space.inodes", .problem, "\(text): no more files can be made soon", "df -i shows where they are.")
        }
        if numbers.availableFiles < min(numbers.files / 20, 100_000) {
            return Diagnosis(
                "space.inodes", .warning, text, "A blob needs one, a repository some ten: df -i shows where they are.")
        }
        return Diagnosis("space.inodes", .ok, text)
    }
}
