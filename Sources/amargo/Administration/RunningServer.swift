import Glibc
import Registry
import Storage

/// The server that holds a store, for commands that ask it how it is. Used by one task at a time.
struct RunningServer {
    private let client: AdminClient

    /// Connects; nil when no server has the store. Blocks.
    ///
    /// - Throws: `StorageError` when its holder does not answer.
    init?(_ root: StoreRoot) throws {
        guard let client = try AdminClient(to: root) else { return nil }
        do {
            guard try client.hello(patience: StoreDoor.patience).text("role") == "serve" else { return nil }
        } catch AdminClient.Failure.silent {
            throw StoreDoor.silent(root)
        } catch is AdminClient.Failure {
            return nil  // it has just ended
        }
        self.client = client
    }

    /// What it answers; nil when it does not know the question, being of another version. Blocks.
    ///
    /// - Throws: `AdminClient.Failure` when it has ended, or is silent.
    func ask(_ request: AdminRequest) throws -> [AdminEvent]? {
        var events: [AdminEvent] = []
        let code = try self.client.perform(request, patience: StoreDoor.patience) { events.append($0) }
        return code == 0 ? events : nil
    }

    /// Has whoever holds a store write down the pulls that its journal does not know yet. Blocks, not for long: with nobody there, a
    /// holder that hangs or one of another version, the journal is read as it is.
    static func settlePulls(in folder: String) {
        guard let root = try? StoreRoot(folder: folder), let client = try? AdminClient(to: root) else { return }
        _ = try? client.perform(.tellPulls, patience: 1) { _ in }
    }

    /// Ends the connection, so that a question fails. From any thread.
    func hangUp() { self.client.hangUp() }
}
