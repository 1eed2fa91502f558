/** Which ways to pay a wallet has enough for. It is asked without a question to its owner, so only
 * where it is connected already, and only for the network that it is on. */

import { balanceOf, chainOf } from "./chain";
import { element, Problem } from "./page";
import { currentAccount, type Wallet } from "./wallet";

/** Mark what the wallet can pay; show and choose it first, unless the payer chose already or what
 * is chosen can be paid too. */
export async function preferAffordable(wallet: Wallet, hasChosen: () => boolean): Promise<void> {
  const { provider } = wallet;
  try {
    const account = await currentAccount(provider);
    if (account === null) return;
    const chain = String(await chainOf(provider));
    const affordable: HTMLInputElement[] = [];
    for (const input of routes()) {
      const { token = "", atomic = "0" } = input.dataset;
      const at = input.closest<HTMLElement>(".route")?.dataset["chain"];
      if (at !== chain || (await balanceOf(provider, token, account)) < BigInt(atomic)) continue;
      affordable.push(input);
      const mark = input.parentElement?.querySelector<HTMLElement>(".enough");
      if (mark) mark.hidden = false;
    }
    const first = affordable[0];
    if (first === undefined || hasChosen() || affordable.some(({ checked }) => checked)) return;
    first.checked = true;
    const group = first.closest(".route");
    if (group !== null) element("routes").querySelector("legend")?.after(group);
  } catch (error) {
    // Only a help: what the wallet does not tell is found out when the payer has chosen.
    if (!(error instanceof Problem)) throw error;
  }
}

function routes(): NodeListOf<HTMLInputElement> {
  return element("routes").querySelectorAll<HTMLInputElement>('input[name="tokenId"]');
}
