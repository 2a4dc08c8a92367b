import Glibc

/// The folder from which bundles are taken in.
struct WatchedFolderCheck: BlockingCheck {
    let id = "configuration.watch"
    let settings: Settings
    let user: HostUser

    func look() -> [Diagnosis] {
        guard let path = self.settings.watchedFolder else { return [] }
        let place = self.settings.origins["import.watch"].map { "import.watch (\($0))" } ?? "import.watch"
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            return [
                Diagnosis(
                    self.id, of: path, .problem, "is no folder: no bundle is taken in",
                    "install -d -o \(self.user.name) \(path); named by \(place).")
            ]
        }
        // What was taken in is moved below it.
        guard self.user.may(7, status) else {
            return [
                Diagnosis(
                    self.id, of: path, .problem,
                    "cannot be written to by the user \(self.user.name), who serves: no bundle is taken in",
                    "chown \(self.user.name) \(path); named by \(place).")
            ]
        }
        return [Diagnosis(self.id, of: path, .ok, "is watched for bundles")]
    }
}
