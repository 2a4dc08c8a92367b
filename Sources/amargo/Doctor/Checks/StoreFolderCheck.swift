import Glibc
import Storage

/// The store's folder: there, whose it is, and whether whoever serves can write to it.
struct StoreFolderCheck: BlockingCheck {
    let id = "store.folder"
    let path: String
    /// Where the path comes from, for people.
    let origin: String
    /// Who looks.
    let user: HostUser

    func look() -> [Diagnosis] {
        var status = stat()
        guard stat(self.path, &status) == 0 else { return [self.missing(errno)] }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return [Diagnosis(self.id, .problem, "\(self.path) is not a folder", "Name another: store.path (\(self.origin)).")]
        }
        let owner = HostUser(id: status.st_uid)
        if self.user.id != 0, owner != self.user {
            return [
                Diagnosis(
                    self.id, .warning,
                    "\(self.path) belongs to the user \(owner.name), and you are \(self.user.name): it was not looked at",
                    "Amargo serves a store as its owner. To look at it: sudo amargo doctor",
                    "For a store of your own: --store FOLDER")
            ]
        }
        if status.st_mode & 0o022 != 0 {
            return [
                Diagnosis(
                    self.id, .problem, "\(self.path) can be written to by others: Amargo refuses it", "chmod go-w \(self.path)")
            ]
        }
        if status.st_mode & 0o700 != 0o700 {
            return [
                Diagnosis(
                    self.id, .problem, "\(self.path) cannot be written to by the user \(owner.name), its owner",
                    "chmod u+rwx \(self.path)"
                )
            ]
        }
        return [self.judgeContent(owner)] + self.foreignFiles(owner)
    }

    private func missing(_ reason: CInt) -> Diagnosis {
        guard reason == ENOENT else {
            return Diagnosis(
                self.id, .problem, "\(self.path) cannot be looked at: \(String(cString: strerror(reason)).lowercased())",
                reason == EACCES ? "Run this as root, or as the store's owner." : "Mend store.path (\(self.origin)).")
        }
        var parent = self.path
        var status = stat()
        repeat {
            parent = parent.lastIndex(of: "/").map { String(parent[..<$0]) } ?? ""
        } while !parent.isEmpty && stat(parent, &status) != 0
        if parent.isEmpty { _ = stat("/", &status) }
        guard self.user.may(3, status) else {
            return Diagnosis(
                self.id, .problem,
                "\(self.path) is not there, and the user \(self.user.name) cannot make it in \(parent.isEmpty ? "/" : parent)",
                "sudo install -d -o \(self.user.name) -m 700 \(self.path)", "Or name another: --store FOLDER")
        }
        return Diagnosis(self.id, .note, "\(self.path) (\(self.origin)) is not there yet", "amargo serve makes it.")
    }

    private func judgeContent(_ owner: HostUser) -> Diagnosis {
        do {
            let root = try StoreRoot(folder: self.path)
            let entries = try root.entries(of: nil).sorted()
            if let stranger = entries.first(where: { !StoreLayout.isOwn(rootEntry: $0) }) {
                return Diagnosis(
                    self.id, .problem, "\(self.path) holds \"\(stranger.harmless)\", which is not a store's: Amargo refuses it",
                    entries.contains("store.json")
                        ? "Move it elsewhere." : "Name an empty or missing folder: store.path (\(self.origin)).")
            }
            guard entries.contains("store.json") else {
                return Diagnosis(self.id, .note, "\(self.path) (\(self.origin)) is empty", "amargo serve makes a store there.")
            }
        } catch {
            return Diagnosis(self.id, .problem, "\(error)".harmless, "Run this as root, or as \(owner.name).")
        }
        let becomes = self.user.id == 0 && owner.id != 0 ? "; amargo serve, started by root, becomes \(owner.name)" : ""
        return Diagnosis(self.id, .ok, "\(self.path) (\(self.origin)), of the user \(owner.name)\(becomes)")
    }

    /// What another user has left in the store, as a command run with sudo may have in older days.
    private func foreignFiles(_ owner: HostUser) -> [Diagnosis] {
        for name in ["store.json", "store.lock", "journal.jsonl", "blobs", "repositories", "spool", "quarantine", "blobs/sha256"]
        {
            var status = stat()
            guard lstat("\(self.path)/\(name)", &status) == 0, status.st_uid != owner.id else { continue }
            return [
                Diagnosis(
                    "store.rights", .problem,
                    "\(name) belongs to the user \(HostUser(id: status.st_uid).name), the store to \(owner.name)",
                    "chown -R \(owner.name): \(self.path)")
            ]
        }
        return []
    }
}
