import Testing

@testable import amargo

struct StatisticsPrinterTests {
    @Test(
        "percents are whole ones, rounded down: 100 % is all",
        arguments: [
            (17.0 / 33, "51 %"), (29.0 / 100, "29 %"), (57.0 / 100, "57 %"), (0.999, "99 %"), (0.004, "0 %"), (1.0, "100 %"),
            (0.0, "0 %"),
        ] as [(Double, String)])
    func percent(_ ratio: Double, _ expected: String) {
        #expect(StatisticsPrinter.percent(ratio) == expected)
    }
}
