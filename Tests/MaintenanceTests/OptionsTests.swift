import Maintenance
import Testing

extension MaintenanceTests {
    @Suite struct VerificationOptionsTests {
        @Test(
            "a share is a percentage or a fraction above 0 and at most 1",
            arguments: [("5%", 0.05), ("0.05", 0.05), ("100%", 1), ("1", 1)])
        func share(_ text: String, _ share: Double) {
            #expect(VerificationOptions.share(text) == share)
        }

        @Test("anything else is none", arguments: ["", "%", "0", "0%", "-1", "101%", "1.1", "1e-2", "0x1", "five", "nan", "5 %"])
        func noShare(_ text: String) {
            #expect(VerificationOptions.share(text) == nil)
        }
    }
}
