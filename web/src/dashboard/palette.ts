/** The command palette: every page that the reader may see, what was looked at lately, and what the
 * server finds. A combobox with a list (WAI-ARIA Authoring Practices, "Combobox"). */

import { base, part } from "./page";

interface Way {
  title: string;
  note: string;
  href: string;
}

const RECENT_KEY = `gstable-recent ${document.body.dataset["merchant"] ?? ""} ${base}`;
const RECENT_MAX = 8;
const SHOWN_MAX = 30;
const SEARCH_FROM = 3;
const SEARCH_AFTER_MS = 250;

/** Opens the palette. */
export function palette(): () => void {
  const dialog = part<HTMLDialogElement>("palette");
  const text = part<HTMLInputElement>("palette-text");
  const list = part<HTMLUListElement>("palette-list");
  const none = part("palette-none");
  if (dialog === null || text === null || list === null || none === null) return () => undefined;

  const pages = [...list.querySelectorAll<HTMLElement>("[data-href]")].map((one) => ({
    title: one.dataset["title"] ?? "",
    note: one.dataset["keys"] ?? "",
    href: one.dataset["href"] ?? "",
  }));
  const looking = dialog.dataset["search"] ?? "";
  const recent = remember();
  let found: Way[] = [];
  let at = 0;
  let timer = 0;
  let asked = "";

  const shown = (): Way[] => {
    const wanted = text.value.trim();
    const words = wanted.toLocaleLowerCase().split(/\s+/);
    const fits = ({ title, note }: Way): boolean =>
      words.every((word) => `${title} ${note}`.toLocaleLowerCase().includes(word));
    const own = [...pages, ...recent].filter(fits);
    const search = looking !== "" && wanted.length >= SEARCH_FROM;
    const all = search
      ? [...own, ...found, { title: `${looking} ${wanted}`, note: "", href: searchUrl(wanted) }]
      : own;
    return all.slice(0, SHOWN_MAX);
  };

  const draw = (): void => {
    const ways = shown();
    at = Math.max(0, Math.min(at, ways.length - 1));
    list.replaceChildren(...ways.map((way, index) => option(way, index, index === at)));
    none.hidden = ways.length > 0;
    if (ways.length === 0) text.removeAttribute("aria-activedescendant");
    else text.setAttribute("aria-activedescendant", `way-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };

  const go = (): void => {
    const href = shown()[at]?.href;
    if (href === undefined) return;
    dialog.close();
    location.assign(href);
  };

  const search = async (wanted: string): Promise<void> => {
    const ways = await hits(wanted);
    if (wanted !== asked) return;
    found = ways;
    draw();
  };

  text.addEventListener("input", () => {
    at = 0;
    found = [];
    clearTimeout(timer);
    asked = text.value.trim();
    if (looking !== "" && asked.length >= SEARCH_FROM) {
      timer = window.setTimeout(() => void search(asked), SEARCH_AFTER_MS);
    }
    draw();
  });
  text.addEventListener("keydown", (event) => {
    const count = list.children.length;
    const step: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1 };
    const next = step[event.key];
    if (next !== undefined && count > 0) at = (next + count) % count;
    else if (event.key === "Enter") go();
    else return;
    event.preventDefault();
    draw();
  });
  list.addEventListener("click", (event) => {
    const one = (event.target as Element).closest("[role=option]");
    at = [...list.children].findIndex((other) => other === one);
    if (one !== null) go();
  });
  // A click beside the dialog is one on its backdrop.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  const open = (): void => {
    if (dialog.open) return;
    text.value = "";
    found = [];
    at = 0;
    draw();
    dialog.showModal();
  };
  for (const button of document.querySelectorAll<HTMLElement>("[data-palette]")) {
    button.hidden = false;
    button.addEventListener("click", open);
  }
  return open;
}

function option({ title, note }: Way, index: number, isAt: boolean): HTMLLIElement {
  const one = document.createElement("li");
  one.id = `way-${index}`;
  one.role = "option";
  one.ariaSelected = String(isAt);
  const name = document.createElement("span");
  name.textContent = title;
  const more = document.createElement("span");
  more.className = "palette-note";
  more.textContent = note;
  one.append(name, more);
  return one;
}

function searchUrl(wanted: string): string {
  return `${base}/search?q=${encodeURIComponent(wanted)}`;
}

/** What the page of the search shows, row by row; the page itself where it went on to the one. */
async function hits(wanted: string): Promise<Way[]> {
  try {
    const response = await fetch(searchUrl(wanted));
    if (!response.ok) return [];
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const path = new URL(response.url).pathname;
    if (response.redirected) {
      if (!path.startsWith(`${base}/`)) return [];
      return [{ title: titleOf(page), note: wanted, href: path }];
    }
    return [...page.querySelectorAll("[data-row]")].flatMap((row) => {
      const link = row.querySelector("a");
      const note = row.querySelector(".id")?.textContent ?? "";
      if (link === null) return [];
      const title = link.textContent.trim();
      return [{ title, note: note.trim(), href: link.getAttribute("href") ?? "" }];
    });
  } catch {
    // Signed out, or no network: the way to the search's own page still stands there.
    return [];
  }
}

function titleOf(page: Document): string {
  return (page.querySelector("h1")?.textContent ?? page.title).trim().replace(/\s+/g, " ");
}

/** What was looked at in this tab, the latest first; the present page is noted for the next. */
function remember(): Way[] {
  const kept = JSON.parse(sessionStorage.getItem(RECENT_KEY) ?? "[]") as Way[];
  const others = kept.filter(({ href }) => href !== location.pathname);
  const id = location.pathname.split("/").at(-1) ?? "";
  // An identifier of ours has its kind before it.
  if (/^[a-z]+_\w{8,}$/.test(id)) {
    const own = { title: titleOf(document), note: id, href: location.pathname };
    sessionStorage.setItem(RECENT_KEY, JSON.stringify([own, ...others].slice(0, RECENT_MAX)));
  }
  return others;
}
