import NIOCore
import Testing

@testable import Registry

struct ClientAddressTests {
    private static func address(_ text: String) throws -> ClientAddress {
        ClientAddress(try SocketAddress(ipAddress: text, port: 5000))
    }

    @Test(
        "what one host can use is one client",
        arguments: [
            ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1", "10.0.0.2", false),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", true), ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true), ("::1", "10.0.0.1", false), ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false),
        ])
    func sameClient(_ one: String, _ other: String, _ isSame: Bool) throws {
        #expect(try (Self.address(one) == Self.address(other)) == isSame)
    }
}
