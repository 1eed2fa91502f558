/** Keyboard shortcuts: never while somebody types, and not where they were switched off (WCAG 2.2,
 * 2.1.4: keys of one letter get in the way of people who speak to their computer). */

import { boxOf } from "./choose";
import { isTyping, part } from "./page";

const OFF_KEY = "gstable-no-shortcuts";
const SECOND_KEY_MS = 1500;

export function keys(openPalette: () => void): void {
  const help = part<HTMLDialogElement>("shortcuts");
  const find = part<HTMLInputElement>("find");
  const choice = part<HTMLInputElement>("single-keys");
  const ways = new Map<string, string>();
  for (const one of document.querySelectorAll<HTMLElement>("[data-keys][data-go]")) {
    ways.set(one.dataset["keys"] ?? "", one.dataset["go"] ?? "");
  }
  let first = "";
  let until = 0;

  const isOff = (): boolean => localStorage.getItem(OFF_KEY) !== null;
  if (choice !== null) {
    choice.checked = !isOff();
    choice.addEventListener("change", () => {
      if (choice.checked) localStorage.removeItem(OFF_KEY);
      else localStorage.setItem(OFF_KEY, "1");
    });
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-shortcuts]")) {
    button.hidden = false;
    button.addEventListener("click", () => help?.showModal());
  }

  const single = (key: string): boolean => {
    const isSecond = first !== "" && performance.now() < until;
    const href = isSecond ? ways.get(`${first} ${key}`) : undefined;
    first = "";
    if (href !== undefined) location.assign(href);
    else if (key === "?") help?.showModal();
    else if (key === "/") (find?.checkVisibility() ? () => find.focus() : openPalette)();
    else if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
    else if (key === "x") return tick();
    else if (key === "g") [first, until] = [key, performance.now() + SECOND_KEY_MS];
    else return false;
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isOff()) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
    if (single(event.key)) event.preventDefault();
  });
}

/** Choose the row that has the focus, or not any more. */
function tick(): boolean {
  const box = boxOf(document.activeElement?.closest("[data-row]"));
  box?.click();
  return box !== null;
}

/** Go to the next row of a list, or the one before: its link has the focus then, and Enter. */
function step(by: number): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  const links = rows.flatMap((row) => row.querySelector<HTMLElement>("a") ?? []);
  if (links.length === 0) return false;
  const here = links.findIndex((link) =>
    link.closest("[data-row]")?.contains(document.activeElement),
  );
  const next = here < 0 ? (by > 0 ? 0 : links.length - 1) : here + by;
  links[Math.max(0, Math.min(next, links.length - 1))]?.focus();
  return true;
}
