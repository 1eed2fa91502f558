/** Whether what the wallet is asked for says the same as the terms on the screen. Nothing is sent
 * or signed that says otherwise, wherever the difference comes from. */

import { keccak256, textToHex } from "./keccak";
import { Problem } from "./page";
import type { Call, Prepared, TypedData } from "./server";
import { gettext } from "./words";

const APPROVE = "0x095ea7b3";
const PAY = "0xec4445ee";
const PAY_WITH = "0xd89d1996";
const ROUTE = "0x9b9d0dd5";
const ROUTE_WITH = "0x487de446";
const DOMAIN =
  "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const PAYMENT_ORDER =
  "PaymentOrder(bytes32 sessionKey,address merchant,address token,uint256 merchantAmount," +
  "uint256 feeAmount,address feeReceiver,uint256 deadline)";
const ROUTED_ORDER =
  "RoutedOrder(bytes32 sessionKey,address merchant,address token,uint256 amount," +
  "uint256 feeAmount,address feeReceiver,uint256 deadline,address rail," +
  "uint256 settlementChainId,address settlementToken,uint256 merchantAmount,bytes railData)";

/** An address, or a number, as one word of call data. */
export function word(value: string | bigint): string {
  const digits = typeof value === "string" ? value.slice(2).toLowerCase() : value.toString(16);
  return digits.padStart(64, "0");
}

/** Throws `Problem` unless all that was prepared is of the one order that is shown. */
export function requireAgreement(prepared: Prepared, payer: string): void {
  const { approve, resetApprove, pay, spender, typedData, tokenAddress, terms } = prepared;
  const total = BigInt(terms.total);
  require(BigInt(terms.amount) + BigInt(terms.feeAmount) === total);
  require((pay === null) !== (typedData === null));
  require(prepared.digest === digestOf(prepared));
  if (approve !== null && resetApprove !== null && spender !== null) {
    for (const [call, amount] of [[approve, total], [resetApprove, 0n]] as const) {
      require(same(call.to, tokenAddress) && BigInt(call.value) === 0n);
      require(call.data === APPROVE + word(spender) + word(amount));
    }
  }
  if (pay !== null) {
    require(spender !== null && same(spender, terms.router));
    requirePayment(prepared, pay, null);
  }
  if (typedData !== null) requireConsent(prepared, typedData, payer);
}

/** Throws `Problem` unless `call` pays exactly the order that is shown. `payer`: whose tokens a
 * collector takes; null where the router takes the sender's. */
export function requirePayment(prepared: Prepared, call: Call, payer: string | null): void {
  const { terms } = prepared;
  require(same(call.to, terms.router) && BigInt(call.value) === 0n);
  const routed = terms.rail !== null;
  const [selector, body] = [call.data.slice(0, 10), call.data.slice(10)];
  if (payer === null) require(selector === (routed ? ROUTE : PAY));
  else require(selector === (routed ? ROUTE_WITH : PAY_WITH));
  // A routed order carries bytes of any length, so that it stands behind the other arguments.
  const start = routed ? Number(BigInt(`0x${body.slice(0, 64)}`)) * 2 : 0;
  const order = orderWords(prepared);
  require(body.slice(start, start + order.length * 64) === order.join(""));
  const payerAt = (routed ? 2 : 8) * 64;
  if (payer !== null) require(body.slice(payerAt, payerAt + 64) === word(payer));
}

/** The members of the order that is shown, word by word, without the rail's own terms. */
function orderWords({ terms, tokenAddress }: Prepared): string[] {
  const direct = [
    word(terms.sessionKey),
    word(terms.recipient),
    word(tokenAddress),
    word(BigInt(terms.amount)),
    word(BigInt(terms.feeAmount)),
    word(terms.feeReceiver),
    word(BigInt(terms.deadline)),
  ];
  if (terms.rail === null) return direct;
  return [
    ...direct,
    word(terms.rail),
    word(BigInt(terms.settlementChainId)),
    word(terms.settlementToken),
    word(BigInt(terms.merchantAmount)),
  ];
}

/** What names the order that is shown (EIP-712): a signature for it is for no other. */
function digestOf(prepared: Prepared): string {
  const { terms, chainId } = prepared;
  const domain = [
    keccak256(textToHex(DOMAIN)),
    keccak256(textToHex("GStable PaymentRouter")),
    keccak256(textToHex("1")),
    word(BigInt(chainId)),
    word(terms.router),
  ];
  const routed = terms.rail !== null;
  const order = [keccak256(textToHex(routed ? ROUTED_ORDER : PAYMENT_ORDER))];
  order.push(...orderWords(prepared));
  if (routed) order.push(keccak256(terms.railData.slice(2)));
  return `0x${keccak256(`1901${keccak256(domain.join(""))}${keccak256(order.join(""))}`)}`;
}

function requireConsent(prepared: Prepared, typedData: TypedData, payer: string): void {
  const { domain, message, primaryType } = typedData;
  const { terms, tokenAddress, digest, spender } = prepared;
  require(domain.chainId === prepared.chainId);
  switch (prepared.way) {
    case "erc3009":
      require(primaryType === "ReceiveWithAuthorization");
      require(same(domain.verifyingContract, tokenAddress));
      require(same(message["from"], payer) && message["value"] === terms.total);
      require(same(message["to"], terms.router));
      require(message["nonce"] === digest);
      require(message["validBefore"] === String(terms.deadline + 1));
      return;
    case "permit":
      require(primaryType === "Permit" && same(domain.verifyingContract, tokenAddress));
      require(same(message["owner"], payer) && message["value"] === terms.total);
      require(message["deadline"] === String(terms.deadline));
      return;
    case "permit2": {
      require(primaryType === "PermitBatchWitnessTransferFrom");
      require(spender !== null && same(domain.verifyingContract, spender));
      require(same(message["spender"], terms.router));
      const legs = [terms.amount, terms.feeAmount].filter((leg) => BigInt(leg) > 0n);
      const permitted = message["permitted"] as { token: unknown; amount: unknown }[];
      require(permitted.length === legs.length);
      permitted.forEach(({ token, amount }, at) => {
        require(same(token, tokenAddress) && amount === legs[at]);
      });
      const witness = message["witness"] as { digest: unknown; payer: unknown };
      require(witness.digest === digest && same(witness.payer, payer));
      require(message["deadline"] === String(terms.deadline));
      return;
    }
    case "approve":
      require(false);
  }
}

function same(left: unknown, right: string): boolean {
  return typeof left === "string" && left.toLowerCase() === right.toLowerCase();
}

function require(holds: boolean): void {
  if (holds) return;
  throw new Problem(
    gettext(
      "What your wallet would be asked for is not what this page shows, so nothing was sent. " +
        "Do not pay here; please tell the merchant.",
    ),
  );
}
