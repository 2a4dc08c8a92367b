import NIOCore
import NIOPosix
import NIOSSL

/// What somebody who looks for a fault wants to know of a certificate.
package struct CertificateFacts: Sendable, Hashable {
    /// Unix seconds.
    package let begins: Int64
    package let ends: Int64
    /// Hosts and addresses that it is for.
    package let names: [String]

    package init(begins: Int64, ends: Int64, names: [String]) {
        self.begins = begins
        self.ends = ends
        self.names = names
    }

    init(_ certificate: NIOSSLCertificate) {
        self.begins = Int64(certificate.notValidBefore)
        self.ends = Int64(certificate.notValidAfter)
        // The library shows addresses in its description alone: "…;alternative_names=a,b>".
        let description = certificate.description
        let marker = ";alternative_names="
        if let range = description.firstRange(of: marker) {
            let list = description[range.upperBound...].prefix { $0 != ">" && $0 != ";" }
            self.names = list.split(separator: ",").map(String.init)
        } else {
            self.names = []
        }
    }

    /// Whether it is for a host, as RFC 6125, 6.4.3 has it: a star stands for one label, the first.
    package func isFor(host: String) -> Bool {
        let host = host.lowercased()
        return self.names.contains { name in
            let name = name.lowercased()
            guard name.hasPrefix("*.") else { return name == host }
            guard let dot = host.firstIndex(of: ".") else { return false }
            return host[dot...] == name.dropFirst()
        }
    }

    /// The certificate that a server shows, whatever it is worth; nil when none comes in time.
    static func shown(
        by host: String, port: Int, within limit: Duration, group: any EventLoopGroup
    ) async -> CertificateFacts? {
        guard let context = try? NIOSSLContext(configuration: .makeClientConfiguration()) else { return nil }  // nothing is known
        let isNumber = (try? SocketAddress(ipAddress: host, port: port)) != nil  // addresses are not sent as names
        let race = BoundedWork.Race<CertificateFacts?>()
        let loop = group.next()
        let timer = loop.scheduleTask(in: TimeAmount(limit)) { race.end(.success(nil)) }
        defer { timer.cancel() }
        ClientBootstrap(group: loop).connectTimeout(TimeAmount(limit)).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = try NIOSSLClientHandler(context: context, serverHostname: isNumber ? nil : host) { chain, verdict in
                    race.end(.success(chain.first.map { CertificateFacts($0) }))
                    verdict.succeed(NIOSSLVerificationResult.failed)  // it was only looked at
                }
                try channel.pipeline.syncOperations.addHandler(handler)
            }
        }.connect(host: host, port: port).whenComplete { result in
            switch result {
            case .success(let channel): channel.closeFuture.whenComplete { _ in race.end(.success(nil)) }
            case .failure: race.end(.success(nil))
            }
        }
        do {
            return try await race.result()
        } catch {
            return nil
        }
    }
}

extension UpstreamTLS {
    /// Sees whether the certificate and its key belong together.
    package func check() throws {
        do {
            _ = try NIOSSLContext(configuration: self.configuration(isHome: true))
        } catch {
            throw MismatchedKey()
        }
    }

    package struct MismatchedKey: Error, CustomStringConvertible {
        package var description: String { "the key does not belong to the certificate" }
    }

    /// The certificates that are believed, and those that are shown.
    package var facts: (authorities: [CertificateFacts], chain: [CertificateFacts]) {
        (self.authorities.map { CertificateFacts($0) }, self.chain.map { CertificateFacts($0) })
    }
}
