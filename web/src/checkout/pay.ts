/** The payer's way through the page: choose, read the terms, pay, and watch.
 *
 * Whether a payment happened is never decided here: that is the server's word, from the chain.
 */

import { agree, requirePermitted, type Agreed } from "./agree";
import { preferAffordable } from "./balances";
import { approve, enterNetwork, isAllowed, outcomeOf, send, sign } from "./chain";
import { chosenRoute } from "./chosen";
import { offerCopying } from "./deposit";
import { element, keepFocus, pause, Problem, say, setText, show } from "./page";
import { requirePayable, requireWorking } from "./rehearse";
import { remoteWallet } from "./remote";
import {
  askNetwork,
  authorize,
  prepare,
  Unreachable,
  type Authorized,
  type Call,
  type Choice,
  type Signed,
  type Status,
  type TypedData,
} from "./server";
import { countDown, follow, followClosely, isTimeOver } from "./status";
import { hearTabs, note, underway } from "./underway";
import { connect, discover, offer, type Wallet } from "./wallet";
import { gettext } from "./words";

type Stage = "choose" | "review" | "sending" | "sent";

interface Review {
  wallet: Wallet;
  payer: string;
  agreed: Agreed;
}

/** What the keyboard goes on from at each stage, where what it was on is gone. */
const FOCUS: Record<Stage, string> = {
  choose: "routes",
  review: "review-title",
  sending: "review-title",
  sent: "headline",
};
const RECEIPT_EVERY = 1500;
const HAND_IN_EVERY = 1500;
const DOUBT_AFTER = 60_000;
const MAY_COME_FOR = 3600;
const RELAY = "relay:";
const UNEXPECTED = gettext(
  "Something went wrong on this page. Look in your wallet, then reload and see.",
);

const main = element("pay");
const form = element<HTMLFormElement>("payment");
const sessionId = main.dataset["session"] ?? "";

const takesDeposits = element<HTMLSelectElement>("deposit-token").length > 0;

let stage: Stage = "choose";
let open = main.dataset["phase"] === "open";
let busy = false;
let review: Review | null = null;
let hasChosen = false;

/** Run one step at a time: a second click while the wallet is asked does nothing. */
async function once(step: () => Promise<void>): Promise<void> {
  if (busy) return;
  busy = true;
  // Not aria-busy: screen readers keep quiet about what changes within.
  main.dataset["busy"] = "";
  say("");
  try {
    await step();
  } catch (error) {
    enter(stage === "sent" ? "sent" : "choose");
    say(error instanceof Problem ? error.message : UNEXPECTED);
    if (!(error instanceof Problem)) throw error;
  } finally {
    busy = false;
    delete main.dataset["busy"];
    working("");
    tabSent(underway(sessionId));
  }
}

/** Another tab has sent the payment, or given it up: this one goes along. */
function tabSent(name: string | null): void {
  if (busy || !open) return;
  if (name !== null && stage !== "sent") waitFor(name);
  else if (name === null && stage === "sent") enter("choose");
}

/** Throws unless the payment is still to be made: minutes can pass in a wallet. */
function requireDue(): void {
  if (!open || isTimeOver()) {
    throw new Problem(gettext("The time for this payment is over, so nothing was sent."));
  }
  if (underway(sessionId) !== null) {
    throw new Problem(gettext("This payment was already sent from another tab."));
  }
}

function enter(next: Stage): void {
  stage = next;
  if (next === "choose") review = null;
  show("choose", open && next === "choose");
  show("review", open && (next === "review" || next === "sending"));
  show("review-actions", next === "review");
  show("sent-text", next === "sent");
  if (next !== "sent") show("pay-again", false);
  // Whoever is paying from a wallet is not offered to pay a second time beside it.
  show("deposit", open && next === "choose" && takesDeposits);
  keepFocus(open ? FOCUS[next] : FOCUS.sent);
}

function working(text: string): void {
  setText("working", text);
  show("working", text !== "");
}

function addWallet(wallet: Wallet): void {
  main.dataset["wallet"] = "found";
  offer(wallet, () => void once(() => choose(wallet)));
  void preferAffordable(wallet, () => hasChosen);
  // One of an earlier view of this page may have sent it.
  const sent = underway(sessionId);
  if (stage === "sent" && sent !== null && !sent.startsWith(RELAY)) void watch(wallet, sent);
  forgetWhenChanged(wallet);
}

function forgetWhenChanged(wallet: Wallet): void {
  for (const event of ["accountsChanged", "chainChanged"]) {
    wallet.provider.on?.(event, () => forget(wallet));
  }
}

/** Beside those of this browser, but not one of them: a phone is still led into its own apps. */
function offerRemote(): void {
  const clientCode = main.dataset["clientCode"] ?? "";
  const wallet = remoteWallet(form, (question) => askNetwork(sessionId, clientCode, question));
  if (wallet === null) return;
  forgetWhenChanged(wallet);
  element("remote-wallet").addEventListener("click", () => void once(() => choose(wallet)));
  element("remote-cancel").addEventListener("click", () => {
    element<HTMLDialogElement>("remote").close();
  });
}

/** The terms on the screen belong to one account on one network; a change makes them old. */
function forget(wallet: Wallet): void {
  if (busy || stage !== "review" || review?.wallet !== wallet) return;
  enter("choose");
  say(
    gettext(
      "Your wallet changed its account or network. Choose the wallet again to see the terms.",
    ),
  );
}

function choice(payer: string, tokenId: string, way: string): Choice {
  const email = new FormData(form).get("payerEmail");
  return {
    clientCode: main.dataset["clientCode"] ?? "",
    tokenId,
    way,
    payer,
    ...(typeof email === "string" ? { payerEmail: email.trim() } : {}),
  };
}

/** `way` instead of the one that is the least work for the chosen token. */
async function choose(wallet: Wallet, instead: string | null = null): Promise<void> {
  if (!form.reportValidity()) return;
  hasChosen = true;
  const { provider } = wallet;
  const route = chosenRoute(form);
  const way = instead ?? route.way;
  working(gettext("Open your wallet to connect it."));
  const payer = await connect(provider);
  const prepared = await prepare(sessionId, choice(payer, route.tokenId, way));
  const agreed = agree(prepared, route, way, payer);
  const network = route.networkName;
  working(gettext("Your wallet may ask to switch to %(network)s.", { network }));
  await enterNetwork(provider, route);
  working(gettext("Looking at your balance."));
  const allowed = await isAllowed(provider, agreed, payer);
  const sends = !allowed || agreed.pay !== null || way === "permit";
  await requirePayable(provider, agreed, payer, sends);
  review = { wallet, payer, agreed };
  showTerms(review);
  showWork(review, allowed, sends);
  enter("review");
  element("review-title").focus();
}

function showTerms({ payer, agreed }: Review): void {
  const { order, route } = agreed;
  setText("term-total", agreed.totalText);
  setText("term-merchant", agreed.merchantText);
  setText("term-destination", destination(agreed));
  setText("term-recipient", order.merchant);
  setText("term-fee", agreed.feeText);
  show("term-fee-row", order.feeAmount > 0n);
  setText("term-rail", agreed.railCostText);
  show("term-rail-row", agreed.railCost > 0n);
  setText("term-network", route.networkName);
  setText("term-payer", payer);
  setText("term-router", route.router);
  const until = new Date(Number(order.deadline) * 1000);
  const { lang } = document.documentElement;
  setText("term-deadline", until.toLocaleString(lang, { dateStyle: "medium", timeStyle: "short" }));
}

function destination({ order, merchantNetworkName: network }: Agreed): string {
  return order.passage === null ? "" : gettext("on %(network)s", { network });
}

/** Say what the wallet will ask for, and what the button does. */
function showWork({ wallet, agreed }: Review, allowed: boolean, sends: boolean): void {
  const { way, totalText: amount } = agreed;
  const asks: string[] = [];
  if (!allowed) asks.push(gettext("Allow exactly %(amount)s", { amount }));
  if (agreed.typedData !== null) asks.push(gettext("Sign the payment"));
  if (agreed.pay !== null || way === "permit") asks.push(gettext("Send the payment"));
  setText("term-asks", gettext("%(wallet)s will ask you to:", { wallet: wallet.name }));
  element("term-steps").replaceChildren(...asks.map(listItem));
  setText("term-compare", comparison(agreed));
  setText("term-promise", promise(agreed, sends));
  setText("confirm", gettext("Pay %(amount)s", { amount }));
  show("other-way", way !== "approve");
}

/** What is worth comparing in any wallet, however little it shows: a few letters and one number. */
function comparison({ way, route, total, totalText }: Agreed): string {
  const receiver = way === "permit" ? route.collector : route.router;
  return gettext(
    "Compare in your wallet: the address ends in %(end)s, the amount is %(amount)s " +
      "(some wallets show it as %(atomic)s).",
    { end: receiver.slice(-6), amount: totalText, atomic: String(total) },
  );
}

function listItem(text: string): HTMLLIElement {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

function promise({ way }: Agreed, sends: boolean): string {
  if (!sends) {
    return gettext(
      "Your signature allows exactly this payment, once. There is no network fee for you.",
    );
  }
  if (way === "permit2") {
    return gettext(
      "Permission and signature allow exactly this payment, once. Your wallet shows the " +
        "contract Permit2; giving it the permission costs the network's own fee.",
    );
  }
  return gettext(
    "The contract takes exactly these amounts, once. Your wallet must show the contract above; " +
      "the network's own fee comes on top.",
  );
}

async function confirm(): Promise<void> {
  if (review === null) return;
  requireDue();
  const { wallet, payer, agreed } = review;
  const { provider } = wallet;
  enter("sending");
  const allowed = await isAllowed(provider, agreed, payer);
  const sends = !allowed || agreed.pay !== null || agreed.way === "permit";
  // Minutes may have passed since the terms were shown.
  if (!allowed || agreed.typedData !== null) {
    await requirePayable(provider, agreed, payer, sends);
  }
  if (!allowed) await approve(provider, agreed, payer, working);
  if (agreed.pay !== null) return sendPayment(review, agreed.pay);
  if (agreed.typedData !== null) return handIn(review, agreed.typedData);
}

async function sendPayment({ wallet, payer, agreed }: Review, pay: Call): Promise<void> {
  await requireWorking(wallet.provider, agreed, pay, payer);
  requireDue();
  working(gettext("Confirm in your wallet: pay %(amount)s.", { amount: agreed.totalText }));
  const hash = await send(wallet.provider, agreed.route, pay, payer);
  onItsWay(hash);
  void watch(wallet, hash);
}

/** Let the payer sign, and give the signature to the server: it sends the payment, or says what
 * the wallet has to send. */
async function handIn(shown: Review, typedData: TypedData): Promise<void> {
  const { wallet, payer, agreed } = shown;
  const { digest, way } = agreed;
  requireDue();
  working(gettext("Sign in your wallet: pay %(amount)s.", { amount: agreed.totalText }));
  const signature = await sign(wallet.provider, agreed, typedData, payer);
  working(gettext("Handing in your signature."));
  const clientCode = main.dataset["clientCode"] ?? "";
  const { relay, pay } = await handedIn({ clientCode, digest, way, payer, signature });
  if (relay !== null) {
    onItsWay(relay);
  } else if (pay !== null) {
    requirePermitted(agreed, pay, payer, signature);
    await sendPayment(shown, pay);
  }
}

/** The answer to a signature, however often it has to be asked for: the server may have taken it
 * though its answer was lost, as when a phone comes back from the wallet. Handed in twice it is one
 * payment still; another choice would be a second one. */
async function handedIn(signed: Signed): Promise<Authorized> {
  for (;;) {
    try {
      return await authorize(sessionId, signed);
    } catch (error) {
      if (!(error instanceof Unreachable) || !open || isTimeOver()) throw error;
    }
    await pause(HAND_IN_EVERY);
  }
}

/** From here the money may be on its way, whatever happens to this page: a reload must not offer
 * to pay again as if nothing were. `name`: a transaction's hash, or the server's name for it. */
function onItsWay(name: string): void {
  note(sessionId, name);
  waitFor(name);
}

function waitFor(name: string): void {
  setText(
    "sent-text",
    gettext("Waiting for the network to show your payment. You can leave this page."),
  );
  enter("sent");
  show("pay-again", false);
  followClosely(name.startsWith(RELAY) ? name : "");
  setTimeout(() => {
    if (stage !== "sent") return;
    doubt(gettext("Still waiting. A payment can be slow when the network is busy."));
  }, DOUBT_AFTER);
}

/** Offer to pay again, and say what that means. */
function doubt(text: string): void {
  const advice = gettext(
    "Look in your wallet whether it was sent. If it was not, you can pay again: with the same " +
      "token on the same network an order can be paid only once.",
  );
  setText("sent-text", `${text} ${advice}`);
  show("pay-again", true);
}

/** Tell about a failed transaction sooner than the payer would find out: in every tab, also where
 * another one found it first. */
async function watch(wallet: Wallet, hash: string): Promise<void> {
  while (open) {
    let outcome: "mined" | "failed" | "unknown" = "unknown";
    try {
      outcome = await outcomeOf(wallet.provider, hash);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    if (outcome === "mined" || (underway(sessionId) ?? hash) !== hash) return;
    if (outcome === "failed" && (stage === "sent" || (stage === "choose" && !busy))) {
      startAgain();
      say(
        gettext("The network turned the payment down. Only the network's fee was used; try again."),
      );
    }
    if (stage !== "sent") return;
    await pause(RECEIPT_EVERY);
  }
}

function startAgain(): void {
  note(sessionId, null);
  say("");
  enter("choose");
}

function changed(status: Status): void {
  open = status.phase === "open";
  show("payment", open);
  if (!open) show("deposit", false);
  show("expiry", open);
  show("again", status.again);
  if (isUnseen(status)) {
    setText(
      "detail",
      gettext(
        "You sent a payment that the network has not shown yet. Do not pay again: this page will " +
          "say what became of it.",
      ),
    );
    show("again", false);
  } else if (!open) {
    note(sessionId, null);
  }
  if (!open) {
    // A payment that a reorganisation took back opens the page again, from the beginning.
    if (!busy) stage = "choose";
  }
  if (!busy) enter(stage);
  keepFocus(FOCUS.sent);
  if (stage === "sent" && status.relay === "failed") {
    startAgain();
    say(
      gettext("The network did not take this payment, and nothing was charged. Pay another way."),
    );
  } else if (stage === "sent" && status.relay === "doubtful") {
    doubt(gettext("The network does not take this payment at the moment."));
  }
}

/** Whether it is over while a payment of this browser may still come: the order that was signed can
 * be mined a little longer than the session is open. */
function isUnseen({ phase, notices, now, expiresAt }: Status): boolean {
  const isLate = phase === "closed" && now < expiresAt + MAY_COME_FOR;
  return isLate && notices.length === 0 && underway(sessionId) !== null;
}

element("confirm").addEventListener("click", () => void once(confirm));
element("other-way").addEventListener("click", () => {
  const shown = review;
  if (shown !== null) void once(() => choose(shown.wallet, "approve"));
});
element("back").addEventListener("click", () => {
  if (!busy) enter("choose");
});
element("pay-again").addEventListener("click", startAgain);
form.addEventListener("submit", (event) => event.preventDefault());
// Also by a click on what is chosen already, which changes nothing.
for (const event of ["change", "click"]) {
  element("routes").addEventListener(event, () => {
    hasChosen = true;
  });
}

show("script-failed", false);
enter("choose");
offerCopying();
follow(sessionId, main.dataset["phase"] ?? "", changed);
if (open) countDown(Number(main.dataset["expiresAt"]), Number(main.dataset["now"]));
tabSent(underway(sessionId));
hearTabs(sessionId, tabSent);
discover(addWallet);
offerRemote();
