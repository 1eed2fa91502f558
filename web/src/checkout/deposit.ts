/** Copying what is to be typed into a wallet's or an exchange's form. Everything else of this part
 * of the page works without a script. */

import { element } from "./page";
import { gettext } from "./words";

const COPIED_FOR = 2000;

/** Show the buttons where this browser lets a page copy. */
export function offerCopying(): void {
  if (!("clipboard" in navigator)) return;
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    const label = button.firstChild;
    const source = button.dataset["copy"];
    if (label === null || source === undefined) continue;
    button.hidden = false;
    button.addEventListener("click", () => void copy(source, label));
  }
}

async function copy(source: string, label: ChildNode): Promise<void> {
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(element(source).textContent ?? "");
  } catch {
    // The browser refuses: the text can still be marked and copied by hand.
    return;
  }
  label.textContent = gettext("Copied");
  setTimeout(() => {
    label.textContent = before;
  }, COPIED_FOR);
}
