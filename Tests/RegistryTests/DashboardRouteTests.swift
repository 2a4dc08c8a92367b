import OCI
import PullThrough
import Testing

@testable import Registry

/// What the dashboard can be asked for, and what is no question.
struct DashboardRouteTests {
    @Test("each document has its path")
    func documents() throws {
        #expect(try Route(target: "/") == .dashboard(.page))
        #expect(try Route(target: "/?utm_source=x#disk") == .dashboard(.page))
        #expect(try Route(target: "/dashboard/live.json?123") == .dashboard(.live))
        #expect(try Route(target: "/dashboard/engines.json") == .dashboard(.engines))
        #expect(try Route(target: "/dashboard/traffic.json") == .dashboard(.traffic(.day)))
        #expect(try Route(target: "/dashboard/traffic.json?window=week") == .dashboard(.traffic(.week)))
        #expect(try Route(target: "/dashboard/disk.json") == .dashboard(.disk(nil, nil)))
        let registry = try Namespace(parsing: "registry.lan:5000")
        let repository = try RepositoryName(parsing: "team/app")
        #expect(
            try Route(target: "/dashboard/disk.json?registry=registry.lan%3A5000&repository=team%2Fapp")
                == .dashboard(.disk(registry, repository)))
    }

    @Test("all of them are operational: they show private names")
    func operational() throws {
        for path in ["/", "/dashboard/live.json", "/dashboard/disk.json", "/dashboard/images.json", "/dashboard/engines.json"] {
            #expect(try Route(target: path).isOperational, "\(path)")
        }
    }

    @Test("a page of images is chosen by words, order and place")
    func images() throws {
        guard
            case .dashboard(.images(let query)) = try Route(
                target: "/dashboard/images.json?q=NGINX%20%20arm64&sort=size&order=desc&offset=50&limit=100")
        else { throw RouteMismatch() }
        #expect(query.words == ["nginx", "arm64"])
        #expect(query.order == .size)
        #expect(query.isDescending)
        #expect(query.offset == 50)
        #expect(query.limit == 100)
        #expect(try Route(target: "/dashboard/images.json?q=&limit=") == .dashboard(.images(ImageQuery())))
    }

    private struct RouteMismatch: Error {}

    @Test(
        "what is malformed is refused, not guessed",
        arguments: [
            ("images.json?limit=0", "PAGINATION_NUMBER_INVALID"), ("images.json?limit=101", "PAGINATION_NUMBER_INVALID"),
            ("images.json?limit=-1", "PAGINATION_NUMBER_INVALID"), ("images.json?limit=1e2", "PAGINATION_NUMBER_INVALID"),
            ("images.json?limit=99999999999999999999", "PAGINATION_NUMBER_INVALID"),
            ("images.json?offset=-1", "PAGINATION_NUMBER_INVALID"), ("images.json?offset=x", "PAGINATION_NUMBER_INVALID"),
            ("images.json?offset=1000000001", "PAGINATION_NUMBER_INVALID"),
            ("images.json?sort=digest", "PAGINATION_NUMBER_INVALID"), ("images.json?order=up", "PAGINATION_NUMBER_INVALID"),
            ("images.json?limit=5&limit=6", "NAME_INVALID"), ("images.json?q=%00", "NAME_INVALID"),
            ("images.json?q=%ff", "NAME_INVALID"), ("images.json?q=%zz", "NAME_INVALID"),
            ("traffic.json?window=year", "PAGINATION_NUMBER_INVALID"), ("disk.json?repository=library/nginx", "NAME_INVALID"),
            ("disk.json?registry=nothost", "NAME_INVALID"), ("disk.json?registry=docker.io&repository=../x", "NAME_INVALID"),
        ])
    func malformed(_ target: String, _ code: String) {
        do {
            Issue.record("\(target) is \(try Route(target: "/dashboard/\(target)"))")
        } catch {
            #expect(error.status == .badRequest)
            #expect(error.code.rawValue == code)
        }
    }
}
