import { onchainTable } from "ponder";

export const payment = onchainTable("payment", (t) => ({
  id: t.text().primaryKey(),
  sessionKey: t.hex().notNull(),
  payer: t.hex().notNull(),
  merchant: t.hex().notNull(),
  token: t.hex().notNull(),
  amount: t.bigint().notNull(),
  fee: t.bigint().notNull(),
  txHash: t.hex().notNull(),
  logIndex: t.integer().notNull(),
  blockNumber: t.bigint().notNull(),
  blockTime: t.bigint().notNull(),
}));

export const entry = onchainTable("entry", (t) => ({
  id: t.text().primaryKey(),
  paymentId: t.text().notNull(),
  account: t.text().notNull(),
  token: t.hex().notNull(),
  amount: t.bigint().notNull(),
}));
