import Foundation
import Testing

extension SystemTests {
    /// Who may see how the process is.
    @Suite("Operations")
    struct OperationsTests {
        /// An address of this host that is not the loopback's; a client on it comes from there as well.
        private static let address: String? = {
            var list: UnsafeMutablePointer<ifaddrs>?
            guard getifaddrs(&list) == 0 else { return nil }
            defer { freeifaddrs(list) }
            var next = list
            while let entry = next {
                next = entry.pointee.ifa_next
                guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET),
                    entry.pointee.ifa_flags & UInt32(IFF_UP) != 0
                else { continue }
                var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                    _ = inet_ntop(AF_INET, &address.pointee.sin_addr, &text, socklen_t(INET_ADDRSTRLEN))
                }
                let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !name.hasPrefix("127.") { return name }
            }
            return nil
        }()

        @Test(
            "A: one route forgets a check: operations: loopback hides names from other hosts, whatever they say of themselves",
            .enabled(if: Self.address != nil, "this host has no address but the loopback's"))
        func loopback() async throws {
            let address = try #require(Self.address)
            try await Lab.run { lab in
                var settings = try lab.settings(upstream: "http://127.0.0.1:9")
                settings.host = "0.0.0.0"
                let amargo = try await lab.amargo(settings)
                let fields = [
                    [:], ["Host": "127.0.0.1"], ["Host": "localhost"], ["X-Forwarded-For": "127.0.0.1"],
                    ["X-Real-IP": "127.0.0.1"],
                    ["Forwarded": "for=127.0.0.1"], ["X-Client-IP": "127.0.0.1"], ["True-Client-IP": "127.0.0.1"],
                ]
                for path in ["health", "ready", "metrics", "health?x=1", "%68ealth"] {
                    for field in fields {
                        let other = try await Curl.get("http://\(address):\(settings.port)/\(path)", headers: field)
                        #expect(other.status == 404, "\(path) \(field)")
                        let text = String(decoding: other.body, as: UTF8.self)
                        #expect(!text.contains("upstream"), "\(text)")
                    }
                    #expect(try await Curl.get("\(amargo.url)/\(path)").status == 200)
                }
                #expect(try await Curl.get("http://\(address):\(settings.port)/v2/").status == 200)
            }
        }
    }
}
