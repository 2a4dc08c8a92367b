import OCI
import PullThrough

/// What the dashboard's page, and whoever else likes its documents, can ask for.
package enum DashboardRequest: Hashable, Sendable {
    /// `/`
    case page
    /// `/dashboard/live.json`: what changes from second to second.
    case live
    /// `/dashboard/traffic.json`: points of a picture.
    case traffic(TrafficWindow)
    /// `/dashboard/disk.json`: one place of the tree, and what is in it.
    case disk(Namespace?, RepositoryName?)
    /// `/dashboard/images.json`: a page of the images.
    case images(ImageQuery)
    /// `/dashboard/engines.json`: what engines are to be told.
    case engines
}

/// Which images a page of the list shows.
package struct ImageQuery: Hashable, Sendable {
    package enum Order: String, Sendable {
        case name, size, pulled
    }

    /// Images of one page of the list.
    package static let limits = 1...100
    /// Words that are looked for, at most.
    static let words = 8

    /// In small letters; an image has all of them.
    package var words: [String] = []
    package var order = Order.name
    package var isDescending = false
    package var offset = 0
    package var limit = 25
}

extension Route {
    /// - Parameter path: what stands behind `/dashboard/`.
    static func dashboard(_ path: Substring, _ query: Substring) throws(RouteError) -> Route {
        switch path {
        case "live.json": return .dashboard(.live)
        case "engines.json": return .dashboard(.engines)
        case "traffic.json": return .dashboard(.traffic(try Self.choice("window", in: query) ?? .day))
        case "disk.json": return .dashboard(try Self.disk(query))
        case "images.json": return .dashboard(.images(try Self.images(query)))
        default: throw RouteError(.notFound, .nameUnknown, "there is nothing at this path")
        }
    }

    private static func disk(_ query: Substring) throws(RouteError) -> DashboardRequest {
        let registry = try Self.parameter("registry", in: query)
        let repository = try Self.parameter("repository", in: query)
        guard repository == nil || registry != nil else {
            throw RouteError(
                .badRequest, .nameInvalid, "a repository is of a registry: ?registry=docker.io&repository=library/nginx")
        }
        do {
            return .disk(
                try registry.map { try Namespace(parsing: $0) }, try repository.map { try RepositoryName(parsing: $0) })
        } catch let error as ReferenceError {
            throw RouteError(.badRequest, .nameInvalid, error.description)
        } catch {
            throw RouteError(.badRequest, .nameInvalid, "\(error)")
        }
    }

    private static func images(_ query: Substring) throws(RouteError) -> ImageQuery {
        var images = ImageQuery()
        if let text = try Self.parameter("q", in: query) {
            images.words = text.lowercased().split(separator: " ").prefix(ImageQuery.words).map(String.init)
        }
        images.order = try Self.choice("sort", in: query) ?? images.order
        switch try Self.parameter("order", in: query) {
        case nil, "asc": break
        case "desc": images.isDescending = true
        case let other?: throw Self.malformed("order must be asc or desc, not \"\(other.prefix(32))\"")
        }
        images.offset = try Self.number("offset", in: query, 0...1_000_000_000) ?? images.offset
        images.limit = try Self.number("limit", in: query, ImageQuery.limits) ?? images.limit
        return images
    }

    private static func choice<Choice: RawRepresentable<String>>(
        _ name: String, in query: Substring
    ) throws(RouteError) -> Choice? {
        guard let text = try Self.parameter(name, in: query) else { return nil }
        guard let choice = Choice(rawValue: text) else { throw Self.malformed("there is no \(name) \"\(text.prefix(32))\"") }
        return choice
    }

    private static func number(_ name: String, in query: Substring, _ range: ClosedRange<Int>) throws(RouteError) -> Int? {
        guard let text = try Self.parameter(name, in: query) else { return nil }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number) else {
            throw Self.malformed(
                "\(name) must be a number from \(range.lowerBound) to \(range.upperBound), not \"\(text.prefix(32))\"")
        }
        return number
    }

    private static func malformed(_ message: String) -> RouteError {
        RouteError(.badRequest, .paginationNumberInvalid, message)
    }
}
