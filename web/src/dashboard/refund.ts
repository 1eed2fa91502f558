/** The merchant's own wallet sends the one transfer of a refund, and the page shows what became of
 * it. Whether it happened is never decided here: that is the server's word, from the chain. */

import { word } from "../checkout/abi";
import { enterNetwork, outcomeOf, send, wouldWork } from "../checkout/chain";
import type { Target } from "../checkout/chosen";
import { element, pause, Problem, say, setText, show } from "../checkout/page";
import type { Call } from "../checkout/server";
import { connect, discover, offer, type Wallet } from "../checkout/wallet";
import { gettext } from "../checkout/words";

interface Shown {
  state: string;
  missing: number;
  headline: string;
  detail: string;
  txHash: string;
}

const TRANSFER = "0xa9059cbb";
const OFTEN = 1500;
const SELDOM = 6000;
const WAITS = "awaiting_approval";
const OVER = new Set(["completed", "expired", "cancelled"]);

const page = element("refund");
const about = page.dataset;
const target: Target = {
  chainId: Number(about["chainId"]),
  networkName: about["networkName"] ?? "",
  nativeSymbol: about["nativeSymbol"] ?? "",
  rpcUrl: about["rpcUrl"] ?? "",
};
const sentKey = `gstable-refund-${about["refund"] ?? ""}`;

let state = about["state"] ?? "";
const missing = Number(about["missing"]);
let busy = false;

/** The transfer as the page shows it: made from what the merchant reads, not from other words. */
function shownCall(): Call {
  const [receiver, amount] = [about["receiver"] ?? "", BigInt(about["amount"] ?? "0")];
  return { to: about["token"] ?? "", data: TRANSFER + word(receiver) + word(amount), value: "0x0" };
}

function addWallet(wallet: Wallet): void {
  offer(wallet, () => void once(() => giveBack(wallet)));
}

/** Run one step at a time: a second click while the wallet is asked does nothing. */
async function once(step: () => Promise<void>): Promise<void> {
  if (busy) return;
  busy = true;
  page.dataset["busy"] = "";
  say("");
  try {
    await step();
  } catch (error) {
    say(error instanceof Problem ? error.message : unexpected());
    if (!(error instanceof Problem)) throw error;
  } finally {
    busy = false;
    delete page.dataset["busy"];
    working("");
  }
}

function unexpected(): string {
  return gettext("Something went wrong on this page. Look in your wallet, then reload and see.");
}

function working(text: string): void {
  setText("working", text);
  show("working", text !== "");
}

async function giveBack({ provider }: Wallet): Promise<void> {
  const [sender, amount] = [about["sender"] ?? "", about["amountText"] ?? ""];
  working(gettext("Open your wallet to connect it."));
  const account = await connect(provider);
  if (account.toLowerCase() !== sender.toLowerCase()) {
    throw new Problem(
      gettext(
        "The money is in %(sender)s. Choose that account in your wallet and try again.",
        { sender },
      ),
    );
  }
  working(
    gettext("Your wallet may ask to switch to %(network)s.", { network: target.networkName }),
  );
  await enterNetwork(provider, target);
  const call = shownCall();
  if (!(await wouldWork(provider, call, account))) {
    throw new Problem(
      gettext(
        "This would fail, so nothing was sent. Is there %(amount)s on %(network)s?",
        { amount, network: target.networkName },
      ),
    );
  }
  working(gettext("Confirm in your wallet: give %(amount)s back.", { amount }));
  const hash = await send(provider, target, call, account);
  sessionStorage.setItem(sentKey, hash);
  showSent();
  void watch(provider, hash);
}

/** From here the money may be on its way: nothing offers to send it again unasked. */
function showSent(): void {
  const isSent = sessionStorage.getItem(sentKey) !== null;
  show("choose", state === "prepared" && !isSent);
  show("sent", state === "prepared" && isSent);
}

function startAgain(): void {
  sessionStorage.removeItem(sentKey);
  showSent();
}

/** Tell about a failed transaction, which no fact of the chain will tell of. */
async function watch(provider: Wallet["provider"], hash: string): Promise<void> {
  while (state === "prepared" && sessionStorage.getItem(sentKey) === hash) {
    try {
      const outcome = await outcomeOf(provider, hash);
      if (outcome === "mined") return;
      if (outcome === "failed") {
        startAgain();
        say(
          gettext("The network turned the transfer down. Nothing was given back; try again."),
        );
        return;
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    await pause(OFTEN);
  }
}

async function follow(): Promise<void> {
  for (;;) {
    const isLong = document.hidden || state === "prepared" || state === WAITS;
    await pause(isLong && !hasSent() ? SELDOM : OFTEN);
    const shown = await ask();
    if (shown !== null) change(shown);
    // What was given up may still be sent, and is then shown by a reload.
    if (OVER.has(state)) return;
  }
}

function hasSent(): boolean {
  return sessionStorage.getItem(sentKey) !== null;
}

async function ask(): Promise<Shown | null> {
  try {
    const response = await fetch(`${location.pathname}/status`, { cache: "no-store" });
    // Signed out meanwhile, or the server is being restarted: what is shown stays true.
    return response.ok && !response.redirected ? ((await response.json()) as Shown) : null;
  } catch {
    return null;
  }
}

function change(shown: Shown): void {
  // Another person approved it, or it was sent all the same: what can be done is another page.
  if (state === WAITS && (shown.state !== WAITS || shown.missing !== missing)) {
    location.reload();
    return;
  }
  state = shown.state;
  page.dataset["state"] = state;
  setText("headline", shown.headline);
  setText("detail", shown.detail);
  setText("transaction", shown.txHash);
  show("transaction-row", shown.txHash !== "");
  show("to-send", state === "prepared");
  if (state === "completed") sessionStorage.removeItem(sentKey);
  if (!busy) showSent();
}

element("again").addEventListener("click", startAgain);
show("script-needed", false);
showSent();
if (state === "prepared") discover(addWallet);
if (!OVER.has(state)) void follow();
