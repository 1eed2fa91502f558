import { ponder } from "ponder:registry";
import { entry, payment } from "ponder:schema";

// A payment and a pair of entries that cancel out, as a book would have them.
ponder.on("Router:Paid", async ({ event, context }) => {
  const { sessionKey, payer, merchant, token, amount, feeAmount } = event.args;
  const paymentId = event.id;
  await context.db.insert(payment).values({
    id: paymentId,
    sessionKey,
    payer,
    merchant,
    token,
    amount,
    fee: feeAmount,
    txHash: event.transaction.hash,
    logIndex: event.log.logIndex,
    blockNumber: event.block.number,
    blockTime: event.block.timestamp,
  });
  await context.db.insert(entry).values([
    { id: `${paymentId}:0`, paymentId, account: "payers", token, amount: -amount },
    { id: `${paymentId}:1`, paymentId, account: merchant, token, amount },
  ]);
});
