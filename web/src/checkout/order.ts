/** The platform's signed order, read from the very bytes that the payment contract is called with.
 * What a payer is shown and what a wallet is asked for are both made of what is read here. */

import { addressOf, bytes, encode, word, type Argument } from "./abi";
import { keccak256, textToHex } from "./keccak";

/** The contract's `PaymentOrder`, or where a rail carries the money on, its `RoutedOrder`. Amounts
 * in the tokens' smallest units, bytes as hexadecimal without `0x`. */
export interface Order {
  sessionKey: string;
  merchant: string;
  token: string;
  amount: bigint;
  feeAmount: bigint;
  feeReceiver: string;
  deadline: bigint;
  passage: Passage | null;
  signature: string;
}

/** How the money gets to the merchant's own token. */
interface Passage {
  rail: string;
  settlementChainId: bigint;
  settlementToken: string;
  merchantAmount: bigint;
  railData: string;
}

/** Whose tokens a collector takes, and why it may. */
interface Consent {
  payer: string;
  collector: string;
  data: string;
}

const PAY = "0xec4445ee";
const PAY_WITH = "0xd89d1996";
const ROUTE = "0x9b9d0dd5";
const ROUTE_WITH = "0x487de446";
const SIGNATURE_DIGITS = 130;
const DOMAIN =
  "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const PAYMENT_ORDER =
  "PaymentOrder(bytes32 sessionKey,address merchant,address token,uint256 merchantAmount," +
  "uint256 feeAmount,address feeReceiver,uint256 deadline)";
const ROUTED_ORDER =
  "RoutedOrder(bytes32 sessionKey,address merchant,address token,uint256 amount," +
  "uint256 feeAmount,address feeReceiver,uint256 deadline,address rail," +
  "uint256 settlementChainId,address settlementToken,uint256 merchantAmount,bytes railData)";

/** The order in a call of `pay` or `route`; null unless the call is exactly that, to the last
 * byte. */
export function readOrder(call: unknown): Order | null {
  if (typeof call !== "string") return null;
  const words = call.slice(10).match(/[0-9a-f]{64}/g) ?? [];
  const order = call.startsWith(ROUTE) ? routed(words) : direct(words);
  // Whatever else the bytes may hold would be missing here, or stand elsewhere.
  return callOf(order, null) === call ? order : null;
}

function direct(words: readonly string[]): Order {
  return { ...common(words), passage: null, signature: text(words, 8, SIGNATURE_DIGITS) };
}

function routed(words: readonly string[]): Order {
  const order = words.slice(2);
  const passage = {
    rail: addressOf(get(order, 7)),
    settlementChainId: number(order, 8),
    settlementToken: addressOf(get(order, 9)),
    merchantAmount: number(order, 10),
    railData: text(order, 12, Number(number(order, 12)) * 2),
  };
  const behind = 13 + Math.ceil(passage.railData.length / 64);
  return { ...common(order), passage, signature: text(order, behind, SIGNATURE_DIGITS) };
}

function common(words: readonly string[]): Omit<Order, "passage" | "signature"> {
  return {
    sessionKey: `0x${get(words, 0)}`,
    merchant: addressOf(get(words, 1)),
    token: addressOf(get(words, 2)),
    amount: number(words, 3),
    feeAmount: number(words, 4),
    feeReceiver: addressOf(get(words, 5)),
    deadline: number(words, 6),
  };
}

function get(words: readonly string[], at: number): string {
  return words[at] ?? word(0n);
}

function number(words: readonly string[], at: number): bigint {
  return BigInt(`0x${get(words, at)}`);
}

/** Bytes whose length stands in the word at `at`. */
function text(words: readonly string[], at: number, digits: number): string {
  return words.slice(at + 1).join("").slice(0, digits);
}

/** The call that pays `order`: from the sender's tokens, or as `consent` allows. */
export function callOf(order: Order, consent: Consent | null): string {
  const { passage, signature } = order;
  const members = membersOf(order);
  const parts: Argument[] =
    passage === null
      ? members
      : [{ tail: encode([...members, bytes(passage.railData)]) }];
  parts.push(bytes(signature));
  if (consent !== null) {
    parts.push(word(consent.payer), word(consent.collector), bytes(consent.data));
    return (passage === null ? PAY_WITH : ROUTE_WITH) + encode(parts);
  }
  return (passage === null ? PAY : ROUTE) + encode(parts);
}

/** The members of fixed size, word by word. */
function membersOf(order: Order): string[] {
  const { passage } = order;
  const members = [
    word(order.sessionKey),
    word(order.merchant),
    word(order.token),
    word(order.amount),
    word(order.feeAmount),
    word(order.feeReceiver),
    word(order.deadline),
  ];
  if (passage !== null) {
    members.push(
      word(passage.rail),
      word(passage.settlementChainId),
      word(passage.settlementToken),
      word(passage.merchantAmount),
    );
  }
  return members;
}

/** What names the order (EIP-712): a signature for it is for no other. */
export function digestOf(order: Order, chainId: number, router: string): string {
  const domain = [
    keccak256(textToHex(DOMAIN)),
    keccak256(textToHex("GStable PaymentRouter")),
    keccak256(textToHex("1")),
    word(BigInt(chainId)),
    word(router),
  ];
  const { passage } = order;
  const kind = keccak256(textToHex(passage === null ? PAYMENT_ORDER : ROUTED_ORDER));
  const words = [kind, ...membersOf(order)];
  if (passage !== null) words.push(keccak256(passage.railData));
  return `0x${keccak256(`1901${keccak256(domain.join(""))}${keccak256(words.join(""))}`)}`;
}
