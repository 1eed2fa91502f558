import { createConfig } from "ponder";
import { parseAbi } from "viem";

const abi = parseAbi([
  "event Paid(bytes32 indexed sessionKey, address indexed payer, address indexed merchant, address token, uint256 amount, uint256 feeAmount, address feeReceiver)",
]);

export default createConfig({
  database: { kind: "postgres", connectionString: process.env.DATABASE_URL },
  chains: {
    local: {
      id: Number(process.env.CHAIN_ID),
      rpc: process.env.RPC_URL,
      pollingInterval: 250,
    },
  },
  contracts: {
    Router: {
      abi,
      chain: "local",
      address: process.env.ROUTER as `0x${string}`,
      startBlock: 0,
    },
  },
});
