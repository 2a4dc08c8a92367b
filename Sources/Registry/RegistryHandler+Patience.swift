import Glibc
import NIOCore

/// How long a client may take.
extension RegistryHandler {
    /// Looks at the clock now and then, instead of moving a timer with each event.
    func scheduleCheck(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(self.limits.checkInterval)) { [weak self] in
            guard let self, let context = self.context else { return }
            if self.pump?.isWaitingForClient == true || self.pendingEnds > 0 {
                self.checkTaking(context)
            } else if self.exchange != nil {
                self.conclude(.waiting, context)
            } else {
                self.conclude(self.arrival.beganAt.map { .sending(since: $0) } ?? .idle(since: self.lastActivity), context)
            }
        }
    }

    /// Asks the kernel how much the client has acknowledged: a slice that has not left as a whole shows nothing of its progress.
    private func checkTaking(_ context: ChannelHandlerContext) {
        guard let options = context.channel as? any SocketOptionProvider else { return self.scheduleCheck(context) }
        let progress: EventLoopFuture<TCPProgress> = options.unsafeGetSocketOption(
            level: .init(IPPROTO_TCP), name: .init(TCP_INFO))
        progress.hop(to: context.eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard let self, let context = self.context else { return }
            switch result {
            case .success(let progress): self.conclude(.taking(taken: progress.acknowledged), context)
            // Only a socket that is closed cannot tell.
            case .failure: context.close(promise: nil)
            }
        }
    }

    private func conclude(_ activity: ClientPatience.Activity, _ context: ChannelHandlerContext) {
        if self.patience.isExhausted(activity, at: .now()) {
            self.cut()
        } else {
            self.scheduleCheck(context)
        }
    }
}
