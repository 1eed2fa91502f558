/** What the page asks of the network, always through the payer's own wallet. */

import { word } from "./abi";
import type { Agreed } from "./agree";
import type { Target } from "./chosen";
import { Problem, pause } from "./page";
import type { Call, TypedData } from "./server";
import { ask, currentAccount, WalletError, type Provider } from "./wallet";
import { gettext } from "./words";

const ALLOWANCE = "0xdd62ed3e";
const BALANCE_OF = "0x70a08231";
const NONCES = "0x7ecebe00";
const UNKNOWN_CHAIN = 4902;
const POLL_EVERY = 1000;
const PERMISSION_POLLS = 180;

/** Bring the wallet to the target's network, adding it where the wallet does not know it. */
export async function enterNetwork(provider: Provider, target: Target): Promise<void> {
  if (await isOn(provider, target)) return;
  try {
    await switchTo(provider, target);
  } catch (error) {
    if (!(error instanceof WalletError) || error.code !== UNKNOWN_CHAIN) throw error;
    await addNetwork(provider, target);
  }
  if (!(await isOn(provider, target))) {
    const network = target.networkName;
    throw new Problem(gettext("Switch your wallet to %(network)s and try again.", { network }));
  }
}

async function switchTo(provider: Provider, { chainId }: Target): Promise<void> {
  await ask(provider, "wallet_switchEthereumChain", [{ chainId: hexOf(chainId) }]);
}

function hexOf(chainId: number): string {
  return `0x${chainId.toString(16)}`;
}

async function addNetwork(provider: Provider, target: Target): Promise<void> {
  const { chainId, networkName, nativeSymbol, rpcUrl } = target;
  if (rpcUrl === "") {
    throw new Problem(
      gettext(
        "Your wallet does not know %(network)s. Add it there (chain id %(id)s), then try again.",
        { network: networkName, id: String(chainId) },
      ),
    );
  }
  const nativeCurrency = { name: nativeSymbol, symbol: nativeSymbol, decimals: 18 };
  await ask(provider, "wallet_addEthereumChain", [
    { chainId: hexOf(chainId), chainName: networkName, rpcUrls: [rpcUrl], nativeCurrency },
  ]);
  // EIP-3085 leaves it to the wallet whether adding also switches.
  if (!(await isOn(provider, target))) await switchTo(provider, target);
}

/** The chain that the wallet is on. */
export async function chainOf(provider: Provider): Promise<number> {
  return Number(await ask(provider, "eth_chainId"));
}

/** How much of a token of the wallet's own chain an account has. */
export function balanceOf(provider: Provider, token: string, account: string): Promise<bigint> {
  return readUint(provider, { to: token, data: BALANCE_OF + word(account) });
}

async function isOn(provider: Provider, target: Target): Promise<boolean> {
  const chainId = await ask(provider, "eth_chainId");
  return typeof chainId === "string" && Number(chainId) === target.chainId;
}

/** Whether nothing has to be allowed, or the payer's allowance already covers the total. */
export async function isAllowed(
  provider: Provider,
  agreed: Agreed,
  payer: string,
): Promise<boolean> {
  const { spender } = agreed;
  if (spender === null) return true;
  return (await allowance(provider, agreed, payer, spender)) >= agreed.total;
}

function allowance(
  provider: Provider,
  { order }: Agreed,
  payer: string,
  spender: string,
): Promise<bigint> {
  const data = ALLOWANCE + word(payer) + word(spender);
  return readUint(provider, { to: order.token, data });
}

/** Let the spender take exactly the total. A token that only changes an allowance from
 * zero (USDT on Ethereum) is set to zero first, when it says it would refuse otherwise. */
export async function approve(
  provider: Provider,
  agreed: Agreed,
  payer: string,
  tell: (text: string) => void,
): Promise<void> {
  const { spender, approve: call, resetApprove, route, totalText: amount } = agreed;
  if (spender === null || call === null || resetApprove === null) return;
  const before = await allowance(provider, agreed, payer, spender);
  if (before > 0n && !(await wouldWork(provider, call, payer))) {
    const token = route.token.symbol;
    tell(
      gettext("Confirm in your wallet: first take back the old permission for %(token)s.", {
        token,
      }),
    );
    await sendAndWait(provider, route, resetApprove, payer);
  }
  tell(gettext("Confirm in your wallet: allow this one payment of %(amount)s.", { amount }));
  await sendAndWait(provider, route, call, payer);
  if (!(await isAllowed(provider, agreed, payer))) {
    throw new Problem(
      gettext(
        "The permission in your wallet is below %(amount)s. " +
          "Try again and leave the amount as it is.",
        { amount },
      ),
    );
  }
}

/** Whether the network says now that the call would succeed. */
export async function wouldWork(provider: Provider, call: Call, payer: string): Promise<boolean> {
  try {
    await ask(provider, "eth_call", [{ from: payer, to: call.to, data: call.data }, "latest"]);
    return true;
  } catch (error) {
    if (error instanceof WalletError) return false;
    throw error;
  }
}

/** Send one call from `account` of the wallet. Returns the transaction's hash as the wallet says
 * it: a hint for waiting, never a proof. */
export async function send(
  provider: Provider,
  target: Target,
  call: Call,
  account: string,
): Promise<string> {
  await requireUnchanged(provider, target, account);
  const transaction = { from: account, to: call.to, data: call.data, value: call.value };
  const hash = await ask(provider, "eth_sendTransaction", [transaction]);
  if (typeof hash !== "string" || !/^0x[0-9a-fA-F]{64}$/.test(hash)) {
    throw new Problem(
      gettext("Your wallet gave no transaction. Look there whether it was sent."),
    );
  }
  return hash;
}

/** The payer's signature for this one order. */
export async function sign(
  provider: Provider,
  { way, route }: Agreed,
  typedData: TypedData,
  payer: string,
): Promise<string> {
  await requireUnchanged(provider, route, payer);
  let asked = typedData;
  if (way === "permit") {
    const data = NONCES + word(payer);
    const nonce = await readUint(provider, { to: route.token.address, data });
    asked = { ...typedData, message: { ...typedData.message, nonce: nonce.toString() } };
  }
  const signature = await ask(provider, "eth_signTypedData_v4", [payer, JSON.stringify(asked)]);
  if (typeof signature !== "string" || !/^0x([0-9a-fA-F]{2})+$/.test(signature)) {
    throw new Problem(gettext("Your wallet gave no signature. Nothing was paid; try again."));
  }
  return signature;
}

/** The wallet may have been changed while somebody read the terms or a call was mined. */
async function requireUnchanged(
  provider: Provider,
  target: Target,
  expected: string,
): Promise<void> {
  const account = await currentAccount(provider);
  if (account?.toLowerCase() !== expected.toLowerCase() || !(await isOn(provider, target))) {
    throw new Problem(
      gettext(
        "Your wallet changed its account or network. Nothing was sent; " +
          "choose the wallet again to see the terms for it.",
      ),
    );
  }
}

async function sendAndWait(
  provider: Provider,
  target: Target,
  call: Call,
  payer: string,
): Promise<void> {
  const hash = await send(provider, target, call, payer);
  for (let polls = 0; polls < PERMISSION_POLLS; polls += 1) {
    const outcome = await outcomeOf(provider, hash);
    if (outcome === "mined") return;
    if (outcome === "failed") {
      throw new Problem(
        gettext("The network turned the permission down. Nothing was paid; try again."),
      );
    }
    await pause(POLL_EVERY);
  }
  throw new Problem(
    gettext(
      "The permission is not confirmed yet. Nothing was paid. " +
        "Look in your wallet whether it is still waiting, then try again.",
    ),
  );
}

/** What the wallet's network knows of a transaction; "unknown" while it is waiting or dropped. */
export async function outcomeOf(
  provider: Provider,
  hash: string,
): Promise<"mined" | "failed" | "unknown"> {
  const receipt = await ask(provider, "eth_getTransactionReceipt", [hash]);
  const status = (receipt as { status?: unknown } | null)?.status;
  if (typeof status !== "string") return "unknown";
  return BigInt(status) === 1n ? "mined" : "failed";
}

/** What a contract answers with one number, as the wallet's network says it. */
export async function readUint(
  provider: Provider,
  call: { to: string; data: string },
): Promise<bigint> {
  const answer = await ask(provider, "eth_call", [call, "latest"]);
  if (typeof answer !== "string" || !/^0x[0-9a-fA-F]{64}/.test(answer)) {
    throw new Problem(
      gettext("Your wallet's network gave no answer for this token. Try again."),
    );
  }
  return BigInt(answer.slice(0, 66));
}
