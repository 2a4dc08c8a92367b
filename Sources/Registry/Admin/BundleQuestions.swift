import Archive
import Glibc
import NIOCore
import OCI

/// What the holder of a store asks of the command that brings bundles, as events on `amargo.sock`.
enum BundleQuestion {
    static func event(_ bundle: Int, _ item: BundleHandover.Item) -> AdminEvent {
        let event = AdminEvent("open").with("bundle", Int64(bundle))
        return switch item {
        case .part(let number): event.with("part", Int64(number))
        case .member(let member): event.with("member", member.path)
        }
    }

    /// Opens what an event asks for and sends it; false when nobody is there any more.
    static func answer(_ event: AdminEvent, _ bundles: [any BundleOpener], on socket: CInt) -> Bool {
        let number = event.number("bundle")
        let opener = bundles.indices.contains(Int(number)) ? bundles[Int(number)] : nil
        let item: BundleHandover.Item
        if let path = event.text("member") {
            guard let member = BundleMember(path: path) else { return false }
            item = .member(member)
        } else {
            item = .part(Int(event.number("part")))
        }
        return BundleHandover.answer(item, of: opener, on: socket)
    }
}

/// Where the bundles of an import come from.
package struct BundleSupply: Sendable {
    package let openers: [any BundleOpener]
    /// Whether who brings them has gone.
    let isGone: @Sendable () -> Bool

    /// Bundles of this process.
    package init(_ openers: [any BundleOpener]) {
        self.openers = openers
        self.isGone = { false }
    }

    /// Bundles of the process at the other end of a connection, from which nothing else is read meanwhile.
    init(_ count: Int, _ remote: RemoteBundles) {
        self.openers = (0..<count).map { remote.opener($0) }
        self.isGone = { remote.isGone }
    }
}
