import { createConfig } from "ponder";

const abi = [
  {
    type: "event",
    name: "Paid",
    inputs: [
      { name: "sessionKey", type: "bytes32", indexed: true },
      { name: "payer", type: "address", indexed: true },
      { name: "merchant", type: "address", indexed: true },
      { name: "token", type: "address" },
      { name: "amount", type: "uint256" },
      { name: "feeAmount", type: "uint256" },
      { name: "feeReceiver", type: "address" },
    ],
  },
] as const;

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
