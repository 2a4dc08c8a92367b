import NIOCore
import Testing

@testable import Upstream

/// Which addresses are private: IANA's IPv4 and IPv6 Special-Purpose Address Registries.
struct AddressPolicyTests {
    @Test(
        "special-purpose addresses are private, however they are written",
        arguments: [
            "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
            "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.168.0.1", "198.18.0.1", "198.19.255.255",
            "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",
            "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1:0:0:1:808:808", "2002:7f00:1::", "2002:a00:1::1",
            "fc00::1", "fd12:3456::1",
            "fe80::1", "febf::1", "fec0::1", "ff02::1",
        ])
    func isPrivate(_ text: String) throws {
        #expect(AddressPolicy.isPrivate(try SocketAddress(ipAddress: text, port: 443)))
        #expect(AddressPolicy.isPrivate(host: text.contains(":") ? "[\(text)]" : text))
    }

    @Test(
        "everything else is public",
        arguments: [
            "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
            "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "192.169.0.1", "198.17.255.255",
            "198.20.0.0", "223.255.255.255", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
            "2a00::1",
        ])
    func isPublic(_ text: String) throws {
        #expect(!AddressPolicy.isPrivate(try SocketAddress(ipAddress: text, port: 443)))
        #expect(!AddressPolicy.isPrivate(host: text.contains(":") ? "[\(text)]" : text))
    }

    @Test(
        "names that only a private network has, and numbers that resolvers take for addresses",
        arguments: [
            "localhost", "LOCALHOST", "localhost.", "x.localhost", "metadata.google.internal", "printer.local", "2130706433",
            "0x7f000001", "0x7f.1", "127.1", "017700000001", "0177.0.0.1", "[::1]", "127.0.0.1.",
        ])
    func privateNames(_ host: String) { #expect(AddressPolicy.isPrivate(host: host)) }

    @Test(
        "ordinary names are judged when they are connected to",
        arguments: ["auth.docker.io", "ghcr.io", "1.example", "local.example"])
    func names(_ host: String) { #expect(!AddressPolicy.isPrivate(host: host)) }
}
