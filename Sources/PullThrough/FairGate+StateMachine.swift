import DequeModule
import OCI

extension FairGate {
    /// Who is in, who waits, and whose turn is next. Pure.
    struct StateMachine {
        typealias Ticket = UInt64

        private let limit: Int
        /// Places of one repository.
        private let share: Int
        private var total = 0
        private var active: [RepositoryName: Int] = [:]
        private var queues: [RepositoryName: Deque<Ticket>] = [:]
        /// The repositories with a queue, each once.
        private var turns: Deque<RepositoryName> = []
        private var lastTicket: Ticket = 0

        init(limit: Int) {
            self.limit = limit
            self.share = max(1, limit / 2)
        }

        /// Takes a place; a ticket when there is none.
        mutating func arrive(_ repository: RepositoryName) -> Ticket? {
            if self.queues[repository] == nil, self.admits(repository) {
                self.take(repository)
                return nil
            }
            self.lastTicket += 1
            if self.queues[repository] == nil { self.turns.append(repository) }
            self.queues[repository, default: []].append(self.lastTicket)
            return self.lastTicket
        }

        /// Gives a place back; the tickets whose turn has come.
        mutating func leave(_ repository: RepositoryName) -> [Ticket] {
            let left = (self.active[repository] ?? 1) - 1
            self.active[repository] = left == 0 ? nil : left
            self.total -= 1
            var admitted: [Ticket] = []
            // A repository that has its share already lets the others pass, once round.
            var passes = 0
            while self.total < self.limit, passes < self.turns.count, let next = self.turns.popFirst() {
                guard self.admits(next), let ticket = self.queues[next]?.popFirst() else {
                    self.turns.append(next)
                    passes += 1
                    continue
                }
                self.take(next)
                admitted.append(ticket)
                if self.queues[next]?.isEmpty == false { self.turns.append(next) } else { self.queues[next] = nil }
                passes = 0
            }
            return admitted
        }

        /// Nobody waits with this ticket any more.
        mutating func cancel(_ ticket: Ticket) {
            guard let repository = self.queues.first(where: { $0.value.contains(ticket) })?.key else { return }
            self.queues[repository]?.removeAll { $0 == ticket }
            guard self.queues[repository]?.isEmpty == true else { return }
            self.queues[repository] = nil
            self.turns.removeAll { $0 == repository }
        }

        private func admits(_ repository: RepositoryName) -> Bool {
            self.total < self.limit && self.active[repository, default: 0] < self.share
        }

        private mutating func take(_ repository: RepositoryName) {
            self.total += 1
            self.active[repository, default: 0] += 1
        }
    }
}
