import OCI
import Testing

@testable import Archive

struct PlatformChoiceTests {
    @Test(
        "a platform is chosen as people write it",
        arguments: [
            ("linux/amd64", "linux/amd64", true), ("linux/amd64", "linux/arm64", false), ("linux/amd64", "windows/amd64", false),
            ("linux/arm", "linux/arm/v7", true), ("linux/arm/v7", "linux/arm/v6", false), ("linux/arm/v7", "linux/arm", false),
            ("linux/arm64", "linux/arm64/v8", true), ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v8", "linux/arm64/v9", false), ("linux/arm64/v9", "linux/arm64", false),
        ])
    func includes(_ choice: String, _ platform: String, _ expected: Bool) throws {
        let choice = try #require(PlatformChoice(parsing: choice))
        let platform = try #require(PlatformChoice(parsing: platform)).platform
        #expect(choice.includes(platform) == expected)
    }

    @Test(
        "what is no platform is refused",
        arguments: ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/am d", "linux/arm,x/y"])
    func refusals(_ text: String) { #expect(PlatformChoice(parsing: text) == nil) }
}
