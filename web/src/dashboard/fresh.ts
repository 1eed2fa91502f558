/** What came since the page was opened: the server says which sessions changed (server-sent
 * events), and the page either takes the new parts by itself, or offers them where that could be in
 * the way. */

import { copyButtons } from "./copy";
import { part, tell } from "./page";
import { hasTyped } from "./typed";

const TOGETHER_MS = 400;

export function listen(): void {
  const offer = part<HTMLButtonElement>("fresh");
  const main = part("content");
  const stream = document.querySelector<HTMLElement>("[data-live]")?.dataset["live"];
  const wanted = document.querySelector<HTMLElement>("[data-live]")?.dataset["liveOf"] ?? "";
  if (offer === null || main === null || stream === undefined) return;

  const changed = new Set<string>();
  let timer = 0;
  const source = new EventSource(stream);
  source.addEventListener("sessions", (event) => {
    for (const one of JSON.parse((event as MessageEvent<string>).data) as string[]) {
      if (wanted === "" || wanted === one) changed.add(one);
    }
    if (changed.size === 0 || timer !== 0) return;
    timer = window.setTimeout(() => {
      timer = 0;
      void (wanted === "" ? show() : take());
    }, TOGETHER_MS);
  });
  // Signed out: the browser is not to ask again and again.
  source.addEventListener("end", () => source.close());
  window.addEventListener("pagehide", () => source.close());
  offer.addEventListener("click", () => void take());

  function show(): void {
    if (offer === null) return;
    const many = changed.size;
    const text = (many === 1 ? offer.dataset["one"] : offer.dataset["many"]) ?? "";
    offer.textContent = text.replace("{n}", String(many));
    offer.hidden = false;
    tell(offer.textContent);
  }

  /** Put the new parts in the place of the old ones. */
  async function take(): Promise<void> {
    if (hasTyped()) {
      show();
      return;
    }
    const parts = [...document.querySelectorAll<HTMLElement>("[data-part]")];
    const page = await fetched();
    const fresh = page === null ? [] : [...page.querySelectorAll<HTMLElement>("[data-part]")];
    const names = (all: HTMLElement[]): string => all.map((one) => one.dataset["part"]).join();
    // Another page, or other parts than these: only the whole page is right.
    if (parts.length === 0 || names(parts) !== names(fresh)) {
      location.reload();
      return;
    }
    changed.clear();
    if (offer !== null) offer.hidden = true;
    parts.forEach((one, index) => {
      const other = fresh[index];
      if (other === undefined || one.innerHTML === other.innerHTML) return;
      const hadFocus = one.contains(document.activeElement);
      one.replaceWith(other);
      copyButtons(other);
      if (hadFocus) main?.focus({ preventScroll: true });
    });
  }
}

async function fetched(): Promise<Document | null> {
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    if (!response.ok || response.redirected) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}
