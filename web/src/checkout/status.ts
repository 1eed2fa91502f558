/** The state of the payment as the server sees it: told or asked for, and shown in place. */

import { hear, hush, isTold } from "./live";
import { element, Problem, say, setText, show } from "./page";
import { fetchStatus, Unreachable, type Status } from "./server";

const OFTEN = 1500;
const SELDOM = 5000;
const HIDDEN = 15000;
// A connection can be dead without either end knowing.
const TOLD = 60000;
const REDIRECT_AFTER = 4000;

let timer = 0;
let eager = false;
let sessionId = "";
let relay = "";
let lastPhase = "";
let told = 0;
let [secondsLeft, toldAt, toldOn] = [0, 0, 0];
let onChange: (status: Status) => void = () => {};

/** Start following. `changed` is called after every answer of the server. */
export function follow(session: string, phase: string, changed: (status: Status) => void): void {
  [sessionId, lastPhase, onChange] = [session, phase, changed];
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hush();
    else listen();
    schedule(document.hidden ? HIDDEN : 0);
  });
  // A page that comes back as it was left, by the browser's button or from a wallet app.
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    listen();
    schedule(0);
  });
  window.addEventListener("offline", () => show("offline", true));
  window.addEventListener("online", () => schedule(0));
  schedule(phase === "progress" ? OFTEN : SELDOM);
  listen();
}

function listen(): void {
  if (document.hidden || lastPhase === "done") return;
  const said = (status: Status): void => {
    told += 1;
    show("offline", false);
    showStatus(status);
    schedule(TOLD);
  };
  hear(sessionId, relay, said, () => schedule(pace()));
}

function pace(): number {
  return eager || lastPhase === "progress" ? OFTEN : SELDOM;
}

/** Poll more often: a payment of this page is on its way. `name` is the server's name for it where
 * the server sends it, else the empty text. */
export function followClosely(name: string): void {
  [eager, relay] = [true, name];
  told += 1;
  schedule(0);
  listen();
}

function schedule(delay: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => void poll(), delay);
}

async function poll(): Promise<void> {
  let ended = false;
  const mine = (told += 1);
  try {
    const status = await fetchStatus(sessionId, relay);
    show("offline", false);
    // What was told, asked or done since is newer than an answer that took long to come.
    if (told !== mine) return;
    showStatus(status);
    ended = status.phase === "done" || status.phase === "closed";
  } catch (error) {
    // The next poll asks again; what is shown stays true until then.
    if (!(error instanceof Problem)) throw error;
    if (error instanceof Unreachable) show("offline", true);
  }
  // A closed session is still looked at now and then: late money is announced here too.
  schedule(isTold() ? TOLD : document.hidden || ended ? HIDDEN : pace());
}

function showStatus(status: Status): void {
  const main = element("pay");
  main.dataset["phase"] = status.phase;
  main.dataset["state"] = status.state;
  setTime(status.expiresAt, status.now);
  setText("headline", status.headline);
  setText("detail", status.detail);
  setText("notices", status.notices.join(" "));
  show("notices", status.notices.length > 0);
  showConfirmations(status);
  showReceipt(status);
  showReturn(status);
  if (status.phase !== "open") say("");
  if (lastPhase !== "done" && status.phase === "done") leave(status.redirectUrl);
  lastPhase = status.phase;
  onChange(status);
}

function showConfirmations({ confirmations }: Status): void {
  show("confirmations", confirmations !== null);
  if (confirmations === null) return;
  const { count, needed, text } = confirmations;
  const bar = element<HTMLProgressElement>("confirmation-bar");
  [bar.max, bar.value] = [needed, count];
  setText("confirmation-text", text);
}

function showReceipt({ receipt, phase }: Status): void {
  show("receipt", receipt !== null);
  show("receipt-page", receipt !== null && (phase === "progress" || phase === "done"));
  if (receipt === null) return;
  setText("receipt-text", receipt.text);
  setText("receipt-hash", receipt.txHash);
}

function showReturn({ redirectUrl }: Status): void {
  const link = element<HTMLAnchorElement>("return");
  show("return", redirectUrl !== null);
  if (redirectUrl !== null && isWeb(redirectUrl)) link.href = redirectUrl;
}

/** Send the payer back only when this page saw the payment succeed: who comes back here by the
 * browser's button stays. */
function leave(redirectUrl: string | null): void {
  if (redirectUrl === null || !isWeb(redirectUrl)) return;
  show("leaving", true);
  const departure = setTimeout(() => {
    // In a merchant's frame the way back is for the whole window (embed/frame.ts).
    const going = new CustomEvent("leave", { cancelable: true, detail: redirectUrl });
    if (document.dispatchEvent(going)) location.assign(redirectUrl);
  }, REDIRECT_AFTER);
  element("stay").addEventListener("click", () => {
    clearTimeout(departure);
    show("leaving", false);
  });
}

function isWeb(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** What the server's clock said last: the payer's own may be wrong by days, and stands still while
 * a phone sleeps. */
function setTime(expiresAt: number, serverNow: number): void {
  [secondsLeft, toldAt, toldOn] = [expiresAt - serverNow, performance.now(), Date.now()];
}

/** Whether the time is over, before the server was heard again: what a clock shows may be wrong,
 * but it goes on while a phone sleeps. */
export function isTimeOver(): boolean {
  return Date.now() - toldOn >= secondsLeft * 1000;
}

/** Count down to the expiry. */
export function countDown(expiresAt: number, serverNow: number): void {
  setTime(expiresAt, serverNow);
  const tick = (): void => {
    const left = secondsLeft - Math.floor((performance.now() - toldAt) / 1000);
    setText("time-left", left > 0 ? spell(left) : "0:00");
    if (left > 0) setTimeout(tick, 1000);
    else schedule(0);
  };
  tick();
}

function spell(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const [days, hours] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${inUnit(days, "day")} ${inUnit(hours, "hour")}`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
  return `${minutes}:${two(seconds % 60)}`;
}

function inUnit(value: number, unit: "day" | "hour"): string {
  const { lang } = document.documentElement;
  const format = { style: "unit", unit, unitDisplay: "short", numberingSystem: "latn" } as const;
  return new Intl.NumberFormat(lang, format).format(value);
}
