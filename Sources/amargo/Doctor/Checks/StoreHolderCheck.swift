import Registry
import Storage
import Upstream

/// Who has the store open, and whether it answers.
struct StoreHolderCheck: BlockingCheck {
    let id = "store.holder"
    let path: String
    /// Seconds for an answer.
    let patience: Int
    var version = UserAgent.version

    var limit: Duration { .seconds(self.patience + 10) }

    func look() -> [Diagnosis] {
        guard let root = try? StoreRoot(folder: self.path), (try? root.status(of: StoreLayout.storeFile)) != nil,
            let state = try? StoreLock.state(in: root)
        else {
            return []  // what the folder's check has said
        }
        switch state {
        case .closed: return [Diagnosis(self.id, .ok, "nobody has the store open; it was closed properly")]
        case .abandoned:
            return [
                Diagnosis(
                    self.id, .note, "nobody has the store open; the last process was killed, or the power went",
                    "The next start mends what that has left. To see it: amargo verify")
            ]
        case .held(let holder): return self.ask(holder, root)
        }
    }

    private func ask(_ holder: String, _ root: StoreRoot) -> [Diagnosis] {
        let process = Self.pid(in: holder).flatMap { HostProcess($0) }
        do {
            guard let client = try AdminClient(to: root) else {
                return [
                    Diagnosis(
                        self.id, .warning, "\(holder) has the store open, and answers no commands",
                        "It may just be starting or ending: try again. If it stays so, restart it.")
                ]
            }
            let hello = try client.hello(patience: self.patience)
            let version = hello.text("version") ?? "?"
            var found = [Diagnosis(self.id, .ok, "\(holder) has the store open, and answers")]
            if version != self.version {
                found.append(
                    Diagnosis(
                        "server.version", .warning, "\(holder) is version \(version.harmless), this program \(self.version)",
                        "Restart it, so that both are the same: systemctl restart amargo"))
            }
            return found
        } catch AdminClient.Failure.silent {
            if let process, process.isStopped {
                return [
                    Diagnosis(
                        self.id, .problem, "\(holder) has the store open and is stopped: nobody else can use it",
                        "Let it go on: kill -CONT \(process.pid). Or end it: kill -KILL \(process.pid)")
                ]
            }
            return [
                Diagnosis(
                    self.id, .problem, "\(holder) has the store open and has not answered for \(self.patience) s",
                    "Is the disk hanging? See dmesg. Else restart it" + (process.map { ": kill \($0.pid)" } ?? "."))
            ]
        } catch is AdminClient.Failure {
            return [Diagnosis(self.id, .note, "\(holder) is just ending", "Try again in a moment.")]
        } catch {
            return [
                Diagnosis(
                    self.id, .note, "\(holder) has the store open; it cannot be asked: \("\(error)".harmless)",
                    "Run this as root.")
            ]
        }
    }

    /// The number in `amargo serve (pid 12)`.
    static func pid(in holder: String) -> Int32? {
        guard let range = holder.firstRange(of: "(pid ") else { return nil }
        return Int32(holder[range.upperBound...].prefix { $0.isNumber })
    }
}
