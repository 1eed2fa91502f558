/** Copying what is to be typed into a wallet's or an exchange's form. Everything else of this part
 * of the page works without a script. */

import { element, say } from "./page";
import { gettext } from "./words";

const COPIED_FOR = 2000;

/** Show the buttons where this browser lets a page copy. What they copy is what came with the page:
 * other programs may change what stands on it since. */
export function offerCopying(): void {
  if (!("clipboard" in navigator)) return;
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    const label = button.firstChild;
    const source = button.dataset["copy"];
    if (label === null || source === undefined) continue;
    const text = element(source).textContent;
    button.hidden = false;
    button.addEventListener("click", () => {
      if (element(source).textContent === text) void copy(text, label);
      else say(changed());
    });
  }
}

async function copy(text: string, label: ChildNode): Promise<void> {
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // The browser refuses: the text can still be marked and copied by hand.
    return;
  }
  label.textContent = gettext("Copied");
  setTimeout(() => {
    label.textContent = before;
  }, COPIED_FOR);
}

function changed(): string {
  return gettext(
    "Something changed this page after it came, perhaps an extension of your browser. " +
      "Send nothing; open the page in another browser.",
  );
}
