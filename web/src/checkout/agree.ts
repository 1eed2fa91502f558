/** What will be paid, read from the bytes of the order that the platform signed. Nothing is shown,
 * sent or signed that says otherwise, wherever the difference comes from. */

import { amountText, settlement, type Route, type Token } from "./chosen";
import { keccak256, textToHex } from "./keccak";
import { digestOf, readOrder, type Order } from "./order";
import { element, Problem } from "./page";
import type { Call, Prepared } from "./server";
import { signerOf } from "./signature";
import { gettext } from "./words";
import { permittedCall, totalOf, workOf, type Work } from "./work";

/** One payment: its order, the way there, what the wallet has to do, and the amounts in words. */
export interface Agreed extends Work {
  route: Route;
  way: Prepared["way"];
  order: Order;
  digest: string;
  signer: string;
  total: bigint;
  totalText: string;
  merchantText: string;
  merchantNetworkName: string;
  feeText: string;
  railCost: bigint;
  railCostText: string;
}

/** Throws `Problem` unless `prepared` is an order for this very page, of the route that was chosen,
 * signed by the platform, and all that the wallet would be asked for is that order's. */
export function agree(prepared: Prepared, route: Route, way: string, payer: string): Agreed {
  const order = readOrder(prepared.order);
  requireTrue(order !== null && prepared.way === way);
  const digest = digestOf(order, route.chainId, route.router);
  const { session = "", signer = "" } = element("pay").dataset;
  requireTrue(same(signerOf(digest, order.signature), signer));
  requireTrue(order.sessionKey === `0x${keccak256(textToHex(session))}`);
  requireTrue(same(order.token, route.token.address) && prepared.digest === digest);
  const merchants = settlement();
  const passage = order.passage;
  requireTrue(
    same(passage?.settlementToken ?? order.token, merchants.address) &&
      Number(passage?.settlementChainId ?? route.chainId) === merchants.chainId,
  );
  const work = workOf(prepared.way, order, digest, route, payer);
  const { spender, approve, resetApprove, pay, typedData } = prepared;
  requireTrue(equal(work, { spender, approve, resetApprove, pay, typedData }));
  const received = passage?.merchantAmount ?? order.amount;
  const railCost = order.amount - atPar(received, merchants, route.token);
  const total = totalOf(order);
  return {
    ...work,
    ...{ route, way: prepared.way, order, digest, signer, total, railCost },
    totalText: amountText(total, route.token),
    merchantText: amountText(received, merchants),
    merchantNetworkName: merchants.networkName,
    feeText: amountText(order.feeAmount, route.token),
    railCostText: amountText(railCost, route.token),
  };
}

/** Throws `Problem` unless `call` pays the agreed order and no other, as `signature` allows. */
export function requirePermitted(
  { order, route }: Agreed,
  call: Call,
  payer: string,
  signature: string,
): void {
  requireTrue(equal(permittedCall(order, route, payer, signature), call));
}

/** One stablecoin in another, 1 for 1, between different decimals, rounded up. */
function atPar(amount: bigint, from: Token, to: Token): bigint {
  const shift = to.decimals - from.decimals;
  const factor = 10n ** BigInt(Math.abs(shift));
  return shift >= 0 ? amount * factor : (amount + factor - 1n) / factor;
}

/** Whether both say the same, to the last member; letters of either case are the same number. */
function equal(left: unknown, right: unknown): boolean {
  if (typeof left === "string") return same(right, left);
  if (left === null || right === null || typeof left !== "object" || typeof right !== "object") {
    return left === right;
  }
  const [ours, theirs] = [left, right] as [Record<string, unknown>, Record<string, unknown>];
  const names = Object.keys(ours);
  return (
    names.length === Object.keys(theirs).length &&
    names.every((name) => equal(ours[name], theirs[name]))
  );
}

function same(left: unknown, right: string): boolean {
  return typeof left === "string" && left.toLowerCase() === right.toLowerCase();
}

function requireTrue(holds: boolean): asserts holds {
  if (holds) return;
  throw new Problem(
    gettext(
      "What your wallet would be asked for is not what this page shows, so nothing was sent. " +
        "Do not pay here; please tell the merchant.",
    ),
  );
}
