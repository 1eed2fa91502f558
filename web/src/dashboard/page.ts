/** The page's own parts, as the frame writes them. */

export const base = document.body.dataset["base"] ?? "";

export function part<T extends HTMLElement>(id: string): T | null {
  return document.getElementById(id) as T | null;
}

/** Have a screen reader say `text`. */
export function tell(text: string): void {
  const place = part("told");
  if (place !== null) place.textContent = text;
}

/** Whether somebody types into this: single keys are letters there. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null
  );
}
