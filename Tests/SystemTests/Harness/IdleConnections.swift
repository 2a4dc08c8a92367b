import Foundation

/// Connections that are made, say nothing, and are kept whatever the other side does.
struct IdleConnections: Sendable {
    let daemon: Daemon

    /// Says "connected" once it has connected as often.
    init(_ count: Int, to port: Int, in folder: URL) throws {
        let script = """
            import socket, sys, time
            def connect():
                client = socket.socket()
                client.settimeout(2)
                try: client.connect(("127.0.0.1", \(port)))
                except OSError: pass
                return client
            clients = [connect() for _ in range(\(count))]
            print("connected", flush=True)
            while True: time.sleep(60)
            """
        self.daemon = Daemon(
            "idle", try Program.python.url(), ["-c", script], log: folder.appendingPathComponent("idle.log"))
    }
}
