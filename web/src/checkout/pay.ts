/** The payer's way through the page: choose, read the terms, pay, and watch.
 *
 * Whether a payment happened is never decided here: that is the server's word, from the chain.
 */

import {
  approve,
  enterNetwork,
  isAllowed,
  outcomeOf,
  requireFunds,
  requirePayable,
  send,
} from "./chain";
import { element, pause, Problem, say, setText, show } from "./page";
import { prepare, type Choice, type Prepared, type Status } from "./server";
import { countDown, follow, followClosely } from "./status";
import { connect, discover, type Wallet } from "./wallet";

type Stage = "choose" | "review" | "sending" | "sent";

interface Review {
  wallet: Wallet;
  payer: string;
  prepared: Prepared;
}

const RECEIPT_EVERY = 1500;
const DOUBT_AFTER = 60_000;
const UNEXPECTED = "Something went wrong on this page. Look in your wallet, then reload and see.";

const main = element("pay");
const form = element<HTMLFormElement>("payment");
const sessionId = main.dataset["session"] ?? "";
const sentKey = `gstable-sent-${sessionId}`;

let stage: Stage = "choose";
let open = main.dataset["phase"] === "open";
let busy = false;
let review: Review | null = null;

/** Run one step at a time: a second click while the wallet is asked does nothing. */
async function once(step: () => Promise<void>): Promise<void> {
  if (busy) return;
  busy = true;
  main.setAttribute("aria-busy", "true");
  say("");
  try {
    await step();
  } catch (error) {
    enter(stage === "sent" ? "sent" : "choose");
    say(error instanceof Problem ? error.message : UNEXPECTED);
    if (!(error instanceof Problem)) throw error;
  } finally {
    busy = false;
    main.removeAttribute("aria-busy");
    working("");
  }
}

function enter(next: Stage): void {
  stage = next;
  if (next === "choose") review = null;
  show("choose", open && next === "choose");
  show("review", open && (next === "review" || next === "sending"));
  show("review-actions", next === "review");
  show("sent", open && next === "sent");
}

function working(text: string): void {
  setText("working", text);
  show("working", text !== "");
}

function addWallet(wallet: Wallet): void {
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
  button.addEventListener("click", () => void once(() => choose(wallet)));
  element("wallets").append(button);
  show("no-wallet", false);
  for (const event of ["accountsChanged", "chainChanged"]) {
    wallet.provider.on?.(event, () => forget(wallet));
  }
}

/** The terms on the screen belong to one account on one network; a change makes them old. */
function forget(wallet: Wallet): void {
  if (busy || stage !== "review" || review?.wallet !== wallet) return;
  enter("choose");
  say("Your wallet changed its account or network. Choose the wallet again to see the terms.");
}

function choice(payer: string): Choice {
  const fields = new FormData(form);
  const email = fields.get("payerEmail");
  return {
    clientCode: main.dataset["clientCode"] ?? "",
    tokenId: String(fields.get("tokenId") ?? ""),
    payer,
    ...(typeof email === "string" ? { payerEmail: email.trim() } : {}),
  };
}

async function choose(wallet: Wallet): Promise<void> {
  if (!form.reportValidity()) return;
  working("Open your wallet to connect it.");
  const payer = await connect(wallet.provider);
  const prepared = await prepare(sessionId, choice(payer));
  working(`Your wallet may ask to switch to ${prepared.networkName}.`);
  await enterNetwork(wallet.provider, prepared);
  working("Looking at your balance.");
  await requireFunds(wallet.provider, prepared, payer);
  review = { wallet, payer, prepared };
  showTerms(review, await isAllowed(wallet.provider, prepared, payer));
  enter("review");
  element("review-title").focus();
}

function showTerms({ wallet, payer, prepared }: Review, allowed: boolean): void {
  const { terms } = prepared;
  setText("term-total", terms.totalText);
  setText("term-merchant", terms.merchantAmountText);
  setText("term-recipient", terms.recipient);
  setText("term-fee", terms.feeAmountText);
  show("term-fee-row", BigInt(terms.feeAmount) > 0n);
  setText("term-network", prepared.networkName);
  setText("term-payer", payer);
  setText("term-router", terms.router);
  setText(
    "term-steps",
    allowed
      ? `${wallet.name} will ask you once: to pay.`
      : `${wallet.name} will ask you twice: to allow exactly ${terms.totalText}, then to pay.`,
  );
}

async function confirm(): Promise<void> {
  if (review === null) return;
  const { wallet, payer, prepared } = review;
  const { provider } = wallet;
  enter("sending");
  if (!(await isAllowed(provider, prepared, payer))) {
    await approve(provider, prepared, payer, working);
  }
  await requirePayable(provider, prepared, payer);
  working(`Confirm in your wallet: pay ${prepared.terms.totalText}.`);
  const hash = await send(provider, prepared, prepared.pay, payer);
  // From here the money may be on its way, whatever happens to this page: a reload must not
  // offer to pay again as if nothing were.
  sessionStorage.setItem(sentKey, hash);
  waitFor();
  void watch(wallet, hash);
}

function waitFor(): void {
  enter("sent");
  show("pay-again", false);
  setText("sent-text", "Waiting for the network to show your payment. You can leave this page.");
  followClosely();
  setTimeout(() => {
    if (stage !== "sent") return;
    setText(
      "sent-text",
      "Still waiting. Look in your wallet: a payment can be slow when the network is busy. " +
        "If you cancelled it there, you can pay again. This order can be paid only once.",
    );
    show("pay-again", true);
  }, DOUBT_AFTER);
}

/** Tell about a failed transaction sooner than the payer would find out. */
async function watch(wallet: Wallet, hash: string): Promise<void> {
  while (stage === "sent" && open) {
    let outcome: "mined" | "failed" | "unknown" = "unknown";
    try {
      outcome = await outcomeOf(wallet.provider, hash);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    if (outcome === "mined") return;
    if (outcome === "failed") {
      startAgain();
      say("The network turned the payment down. Only the network's fee was used; try again.");
      return;
    }
    await pause(RECEIPT_EVERY);
  }
}

function startAgain(): void {
  sessionStorage.removeItem(sentKey);
  say("");
  enter("choose");
}

function changed(status: Status): void {
  open = status.phase === "open";
  show("payment", open);
  show("expiry", open);
  if (!open) {
    sessionStorage.removeItem(sentKey);
    // A payment that a reorganisation took back opens the page again, from the beginning.
    if (!busy) stage = "choose";
  }
  if (!busy) enter(stage);
}

element("confirm").addEventListener("click", () => void once(confirm));
element("back").addEventListener("click", () => {
  if (!busy) enter("choose");
});
element("pay-again").addEventListener("click", startAgain);
form.addEventListener("submit", (event) => event.preventDefault());

show("script-needed", false);
enter("choose");
discover(addWallet);
follow(sessionId, main.dataset["phase"] ?? "", changed);
if (open) countDown(Number(main.dataset["expiresAt"]), Number(main.dataset["now"]));
if (open && sessionStorage.getItem(sentKey) !== null) waitFor();
