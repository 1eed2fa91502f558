/** Wallets of this browser: found by EIP-6963, spoken to by EIP-1193. */

import { element, Problem, show } from "./page";
import { gettext } from "./words";

export interface Provider {
  request(call: { method: string; params?: readonly unknown[] }): Promise<unknown>;
  on?(event: string, listener: () => void): unknown;
}

export interface Wallet {
  name: string;
  icon: string | null;
  provider: Provider;
}

interface Announcement {
  info?: { uuid?: unknown; name?: unknown; icon?: unknown };
  provider?: Provider;
}

const LEGACY_AFTER = 500;

/** Report every wallet of this browser once, as it announces itself. Names and pictures are the
 * wallet's own words: the caller must show them as plain text and as an `<img>`. */
export function discover(report: (wallet: Wallet) => void): void {
  const seen = new Set<unknown>();
  window.addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = ((event as CustomEvent).detail ?? {}) as Announcement;
    if (typeof provider?.request !== "function" || seen.has(info?.uuid)) return;
    seen.add(info?.uuid);
    report({ name: nameOf(info?.name), icon: iconOf(info?.icon), provider });
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  setTimeout(() => {
    const provider = (window as { ethereum?: Provider }).ethereum;
    if (seen.size === 0 && typeof provider?.request === "function") {
      seen.add("legacy");
      report({ name: gettext("Browser wallet"), icon: null, provider });
    }
  }, LEGACY_AFTER);
}

function nameOf(name: unknown): string {
  const text = typeof name === "string" ? name.trim().slice(0, 40) : "";
  return text === "" ? gettext("Wallet") : text;
}

/** Only pictures that carry their own bytes: nothing is fetched on a wallet's word. */
function iconOf(icon: unknown): string | null {
  return typeof icon === "string" && /^data:image\//i.test(icon) ? icon : null;
}

/** Offer `wallet` on the page as one of the payer's. */
export function offer(wallet: Wallet, chosen: () => void): void {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "wallet";
  const name = document.createElement("bdi");
  name.textContent = wallet.name;
  if (wallet.icon !== null) {
    const icon = document.createElement("img");
    [icon.src, icon.alt, icon.width, icon.height] = [wallet.icon, "", 28, 28];
    button.append(icon);
  }
  button.append(name);
  button.addEventListener("click", chosen);
  element("wallets").append(button);
  show("no-wallet", false);
}

/** Ask the wallet. Throws `Problem` in words, except for the codes the caller wants itself. */
export async function ask(
  provider: Provider,
  method: string,
  params: readonly unknown[] = [],
): Promise<unknown> {
  try {
    return await provider.request({ method, params });
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new WalletError(codeOf(error), messageOf(error));
  }
}

export class WalletError extends Problem {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(inWords(code, message));
  }
}

function inWords(code: number, message: string): string {
  switch (code) {
    case 4001:
      return gettext("You declined in your wallet. Nothing was paid; you can try again.");
    case 4100:
      return gettext(
        "Your wallet has not allowed this page to do that. Unlock it and try again.",
      );
    case 4900:
    case 4901:
      return gettext("Your wallet is not connected to the network. Check it and try again.");
    case -32002:
      return gettext("Your wallet is already waiting for your answer. Open it and finish there.");
    default:
      return gettext("Your wallet could not do this. It says: %(message)s", { message });
  }
}

/** Wallets wrap errors of the network in their own: the innermost code is the telling one. */
function codeOf(error: unknown): number {
  const { code, data } = (error ?? {}) as { code?: unknown; data?: { originalError?: unknown } };
  const inner = data?.originalError;
  if (inner !== undefined) return codeOf(inner);
  return typeof code === "number" ? code : 0;
}

function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === "string" ? message.slice(0, 200) : "?";
}

/** The account that the payer lets this page see. */
export async function connect(provider: Provider): Promise<string> {
  const account = firstOf(await ask(provider, "eth_requestAccounts"));
  if (account === null) {
    throw new Problem(gettext("Your wallet shows no account. Unlock it and try again."));
  }
  return account;
}

/** The account in use right now, or null when the page was disconnected. */
export async function currentAccount(provider: Provider): Promise<string | null> {
  return firstOf(await ask(provider, "eth_accounts"));
}

function firstOf(accounts: unknown): string | null {
  const first: unknown = Array.isArray(accounts) ? accounts[0] : null;
  return typeof first === "string" && /^0x[0-9a-fA-F]{40}$/.test(first) ? first : null;
}
