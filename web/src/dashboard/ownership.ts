/** A wallet of this browser signs the message that the page shows, and its answer goes into the
 * form. Whether it proves anything is the server's word. */

import { enterNetwork } from "../checkout/chain";
import type { Target } from "../checkout/chosen";
import { element, Problem, say, show } from "../checkout/page";
import { ask, connect, discover, offer, type Wallet } from "../checkout/wallet";

const form = element<HTMLFormElement>("proof");
const about = form.dataset;
const target: Target = {
  chainId: Number(about["chainId"]),
  networkName: about["networkName"] ?? "",
  nativeSymbol: about["nativeSymbol"] ?? "",
  rpcUrl: about["rpcUrl"] ?? "",
};
let busy = false;

function hexOf(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return `0x${Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("")}`;
}

async function sign({ provider }: Wallet): Promise<void> {
  const account = await connect(provider);
  const wanted = about["address"] ?? "";
  if (account.toLowerCase() !== wanted.toLowerCase()) {
    throw new Problem(about["otherAccount"] ?? "");
  }
  await enterNetwork(provider, target);
  // As it stands in the page: what is signed is what was read.
  const message = element<HTMLTextAreaElement>("message").value;
  const signature = await ask(provider, "personal_sign", [hexOf(message), account]);
  if (typeof signature !== "string") throw new Problem(about["noSignature"] ?? "");
  element<HTMLTextAreaElement>("signature").value = signature;
  form.requestSubmit();
}

async function once(wallet: Wallet): Promise<void> {
  if (busy) return;
  busy = true;
  say("");
  try {
    await sign(wallet);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message);
  } finally {
    busy = false;
  }
}

show("wallet-choice", true);
discover((wallet) => offer(wallet, () => void once(wallet)));
