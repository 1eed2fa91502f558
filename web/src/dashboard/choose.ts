/** Boxes before the rows of a list, to do something to several at once: one box for all of them.
 * Where no script runs each is ticked by itself. */
export function chooseAll(): void {
  const all = document.querySelector<HTMLInputElement>("[data-choose-all]");
  if (all === null) return;
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const one of document.querySelectorAll<HTMLElement>("[data-choose] [data-row]")) {
      const box = boxOf(one);
      if (box !== null) box.checked = all.checked;
    }
  });
}

/** The box of a row, if it can be chosen. */
export function boxOf(row: Element | null | undefined): HTMLInputElement | null {
  return row?.querySelector<HTMLInputElement>("input[type=checkbox]") ?? null;
}
