/** What a wallet has to do to pay an order one way, made of the order alone (EIP-20, EIP-712,
 * EIP-3009, EIP-2612, Permit2). */

import { addressOf, encode, word } from "./abi";
import type { Route } from "./chosen";
import { callOf, type Order } from "./order";
import type { Call, TypedData, Way } from "./server";

/** `spender` must be allowed the total by `approve`, unless it is; then `pay` is sent, or
 * `typedData` signed. A permit lacks its owner's nonce, which only the token knows. */
export interface Work {
  spender: string | null;
  approve: Call | null;
  resetApprove: Call | null;
  pay: Call | null;
  typedData: TypedData | null;
}

const APPROVE = "0x095ea7b3";
const NOTHING = { spender: null, approve: null, resetApprove: null, pay: null, typedData: null };
const ADDRESS_AND_AMOUNT = "address token,uint256 amount";

export function totalOf({ amount, feeAmount }: Order): bigint {
  return amount + feeAmount;
}

/** `digest` names the order; `payer` is the account that pays. */
export function workOf(way: Way, order: Order, digest: string, route: Route, payer: string): Work {
  const { token, router, permit2, collector } = route;
  const total = totalOf(order);
  const until = String(order.deadline);
  const account = addressOf(payer);
  switch (way) {
    case "approve":
      return { ...allow(token.address, router, total), pay: callTo(router, callOf(order, null)) };
    case "erc3009": {
      const message = {
        from: account,
        to: router,
        value: String(total),
        validAfter: "0",
        // The first second that is too late, where an order's deadline is the last in time.
        validBefore: String(order.deadline + 1n),
        nonce: digest,
      };
      const kind =
        "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore," +
        "bytes32 nonce";
      return signed(ofToken(route), "ReceiveWithAuthorization", { kind, message });
    }
    case "permit": {
      const message = { owner: account, spender: collector, value: String(total), deadline: until };
      const kind = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline";
      return signed(ofToken(route), "Permit", { kind, message });
    }
    case "permit2": {
      const legs = [order.amount, order.feeAmount].filter((leg) => leg > 0n);
      const message = {
        permitted: legs.map((leg) => ({ token: token.address, amount: String(leg) })),
        spender: router,
        nonce: String(BigInt(digest)),
        deadline: until,
        witness: { digest, payer: account },
      };
      const domain = { name: "Permit2", chainId: route.chainId, verifyingContract: permit2 };
      const kind =
        "TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline," +
        "PaymentWitness witness";
      const work = signed(domain, "PermitBatchWitnessTransferFrom", { kind, message });
      Object.assign(work.typedData?.types ?? {}, {
        TokenPermissions: members(ADDRESS_AND_AMOUNT),
        PaymentWitness: members("bytes32 digest,address payer"),
      });
      return { ...allow(token.address, permit2, total), typedData: work.typedData };
    }
  }
}

/** The call that pays for who signed a permit, with the signature (r, s and v: 65 bytes). */
export function permittedCall(
  order: Order,
  { router, collector }: Route,
  payer: string,
  signature: string,
): Call {
  const parts = [2, 66].map((at) => signature.slice(at, at + 64));
  const v = BigInt(`0x${signature.slice(130)}`);
  const data = encode([word(order.deadline), word(v), ...parts]);
  return callTo(router, callOf(order, { payer, collector, data }));
}

function allow(token: string, spender: string, total: bigint): Work {
  const call = (amount: bigint): Call => callTo(token, APPROVE + word(spender) + word(amount));
  return { ...NOTHING, spender, approve: call(total), resetApprove: call(0n) };
}

function callTo(to: string, data: string): Call {
  return { to, data, value: "0x0" };
}

function ofToken({ chainId, name, version, token }: Route): TypedData["domain"] {
  return { name, version, chainId, verifyingContract: token.address };
}

function signed(
  domain: TypedData["domain"],
  primaryType: string,
  { kind, message }: { kind: string; message: Record<string, unknown> },
): Work {
  const own = "version" in domain ? "string version," : "";
  const types = {
    EIP712Domain: members(`string name,${own}uint256 chainId,address verifyingContract`),
    [primaryType]: members(kind),
  };
  return { ...NOTHING, typedData: { types, primaryType, domain, message } };
}

function members(list: string): { name: string; type: string }[] {
  return list.split(",").map((member) => {
    const [type = "", name = ""] = member.split(" ");
    return { name, type };
  });
}
