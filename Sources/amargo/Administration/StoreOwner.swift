import Glibc
import Storage
import Synchronization

/// A command that works on a store. Root does so as the store's owner: else it would leave files there that the owner's server
/// cannot change.
protocol StoreUser {
    var options: StoreOptions { get }

    /// Opens what only root may open, and then takes the uid of the store's owner. Runs before anything else, on the main thread.
    func prepare() throws
}

extension StoreUser {
    func prepare() throws { try self.prepareForStore() }

    /// As most commands do it: they open nothing but the store.
    func prepareForStore() throws {
        do {
            let loaded = try SettingsLoader(self.options).load()
            StoreOwner.prepared.withLock { $0 = loaded.settings }
            try StoreOwner.become(ofFolder: loaded.settings.storePath)
        } catch {
            throw Failure.report(error)
        }
    }
}

enum StoreOwner {
    /// What was read while everything could be read; the process has one command.
    static let prepared = Mutex<Settings?>(nil)

    /// Whose uid this process has taken; nil when it is still who started it.
    static let taken = Mutex<uid_t?>(nil)

    /// The settings in force for the command that runs.
    static func settings(_ options: StoreOptions) throws -> Settings {
        if let prepared = self.prepared.withLock({ $0 }) { return prepared }
        return try SettingsLoader(options).load().settings
    }

    /// Takes the uid and gid of the folder's owner, for good, if this is root and the folder is somebody else's.
    ///
    /// Nothing happens for a folder that is not there yet.
    static func become(ofFolder path: String) throws {
        var status = stat()
        guard geteuid() == 0, stat(path, &status) == 0, status.st_uid != 0 else { return }
        StoreRoot.keep(folder: path)
        guard setgroups(0, nil) == 0, setgid(status.st_gid) == 0, setuid(status.st_uid) == 0 else {
            throw SettingsError(
                "cannot become user \(status.st_uid), to whom the store \(path) belongs: \(String(cString: strerror(errno)))")
        }
        self.taken.withLock { $0 = status.st_uid }
    }
}
