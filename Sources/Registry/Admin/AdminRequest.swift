import Archive
import Maintenance
import OCI
import PullThrough

/// What can be asked of whoever holds a store, over `amargo.sock` or in the same process.
package enum AdminRequest: Hashable, Sendable {
    /// Who are you?
    case hello
    /// A server wants to start: end at the next image.
    case giveWay
    case pin([String])
    case unpin([String])
    case remove([String], dryRun: Bool)
    case collect(dryRun: Bool)
    /// Verify the store and mend what is found.
    case verify(VerificationOptions)
    /// Bring images into the store.
    case warm(WarmRequest)
    /// How well has it served?
    case statistics([TrafficWindow])
    /// What goes on at this moment?
    case activity
    /// Write down what the journal lags behind with: somebody wants to read it.
    case tellPulls
    /// Take in bundles, which come as descriptors when they are asked for.
    case importBundles(ImportOptions, [BundleInput])

    package var event: AdminEvent {
        switch self {
        case .hello: AdminEvent("hello")
        case .giveWay: AdminEvent("giveWay")
        case .pin(let images): AdminEvent("pin").with("images", images)
        case .unpin(let images): AdminEvent("unpin").with("images", images)
        case .remove(let images, let dryRun): AdminEvent("remove").with("images", images).with("dryRun", dryRun)
        case .collect(let dryRun): AdminEvent("collect").with("dryRun", dryRun)
        case .importBundles(let options, let inputs): AdminEvent(options, inputs)
        case .verify(let options): AdminEvent("verify").with("options", options.json)
        case .warm(let request): .warm(request)
        case .statistics(let windows): AdminEvent("statistics").with("windows", windows.map(\.rawValue))
        case .activity: AdminEvent("activity")
        case .tellPulls: AdminEvent("tellPulls")
        }
    }

    /// Nil for what this version does not know.
    package init?(_ event: AdminEvent) {
        switch event.kind {
        case "hello": self = .hello
        case "giveWay": self = .giveWay
        case "pin": self = .pin(event.list("images"))
        case "unpin": self = .unpin(event.list("images"))
        case "remove": self = .remove(event.list("images"), dryRun: event.flag("dryRun"))
        case "verify":
            guard let text = event.text("options"), let options = try? VerificationOptions(json: Array(text.utf8)) else {
                return nil  // what a later version wants to have verified
            }
            self = .verify(options)
        case "warm":
            guard let request = event.warmRequest else { return nil }
            self = .warm(request)
        case "import":
            guard let (options, inputs) = event.importRequest else { return nil }
            self = .importBundles(options, inputs)
        case "statistics": self = .statistics(event.list("windows").compactMap(TrafficWindow.init(rawValue:)))
        case "activity": self = .activity
        case "tellPulls": self = .tellPulls
        case "collect": self = .collect(dryRun: event.flag("dryRun"))
        default: return nil
        }
    }
}
