import Logging
import Registry
import Storage

/// Opens a store for a server: a command that holds it is asked to give way and waited for, by name; another server is not.
struct HandOver {
    let path: String
    let logger: Logger

    /// - Parameters:
    ///   - waiting: told for whom is waited.
    ///   - open: opens the store, which blocks; throws `StorageError.inUse` while somebody holds it.
    func open(
        waiting: (_ holder: String) async -> Void = { _ in }, _ open: @escaping @Sendable () throws -> ContentStore
    ) async throws -> ContentStore {
        var announced: String?
        while true {
            do {
                return try await Blocking.run(open)
            } catch let error as StorageError where error.code == .inUse {
                let holder = try await Blocking.run { try self.askToGiveWay(otherwise: error) }
                if announced != holder {
                    self.logger.notice("Waiting for \(holder) to give the store back")
                    await waiting(holder)
                    announced = holder
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Who gives way; throws when that is nobody who would.
    private func askToGiveWay(otherwise error: StorageError) throws -> String {
        let root = try StoreRoot(folder: self.path)
        let holder = StoreLock.holder(of: root) ?? "another process"
        // Two servers that start at once: the one that came first may not listen yet.
        if holder.hasPrefix("amargo serve ") { throw error }
        guard let client = try AdminClient(to: root) else { return holder }
        do {
            let hello = try client.hello(patience: StoreDoor.patience)
            if hello.text("role") == "serve" { throw error }
            _ = try client.perform(.giveWay, patience: StoreDoor.patience) { _ in }
            return holder
        } catch AdminClient.Failure.silent {
            throw StorageError(
                .inUse, "\(error.message), which has not answered for \(StoreDoor.patience) seconds; is it stopped?")
        } catch is AdminClient.Failure {
            return holder  // it is ending
        }
    }
}
