/** Buttons that copy what stands beside them. */

import { tell } from "./page";

const SHOWN_MS = 2000;

export function copyButtons(root: ParentNode = document): void {
  if (navigator.clipboard === undefined) return;
  for (const button of root.querySelectorAll<HTMLButtonElement>("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => void copy(button));
  }
}

async function copy(button: HTMLButtonElement): Promise<void> {
  await navigator.clipboard.writeText(button.dataset["copy"] ?? "");
  const done = document.body.dataset["copied"] ?? "";
  const said = button.firstChild;
  const before = said?.textContent ?? "";
  // A second click meanwhile must not take the answer for the button's own text.
  if (said === null || before.trim() === done) return;
  said.textContent = done;
  tell(done);
  setTimeout(() => {
    said.textContent = before;
  }, SHOWN_MS);
}
