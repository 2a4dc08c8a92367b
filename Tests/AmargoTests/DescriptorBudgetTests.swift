import OCI
import Testing

@testable import amargo

struct DescriptorBudgetTests {
    @Test("where there are enough, everybody has all that the limits allow", arguments: [32_768, 65_536])
    func plenty(_ total: Int) {
        let budget = DescriptorBudget(total: total)
        #expect(budget.isComplete)
        #expect(budget.clients == 4096)
        #expect(budget.openBlobs == 4096)
        #expect(budget.upstreamConnections == 512)
        #expect(budget.serverLimits == .init())
    }

    @Test(
        "few are shared out",
        arguments: [(64, 16, 4, 2), (128, 23, 22, 11), (256, 55, 51, 25), (1024, 247, 227, 113), (4096, 1015, 994, 497)])
    func few(_ total: Int, _ openBlobs: Int, _ clients: Int, _ upstreamConnections: Int) {
        let budget = DescriptorBudget(total: total)
        #expect(budget.openBlobs == openBlobs)
        #expect(budget.clients == clients)
        #expect(budget.upstreamConnections == upstreamConnections)
        #expect(!budget.isComplete)
        #expect(budget.serverLimits.connections == clients)
    }

    @Test("clients at work, blobs kept open and the reserve fit together")
    func fits() {
        for total in 60...20_000 {
            let budget = DescriptorBudget(total: total)
            let clients = budget.clients * DescriptorBudget.perClient + budget.refusals
            #expect(DescriptorBudget.reserve + budget.openBlobs + clients <= total)
        }
    }

    @Test("with next to nothing it still tries", arguments: [0, 16, 40])
    func none(_ total: Int) {
        let budget = DescriptorBudget(total: total)
        #expect(budget.clients == 2)
        #expect(budget.upstreamConnections == 2)
        #expect(budget.serverLimits.refusals == 2)
    }
}
