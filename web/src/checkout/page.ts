/** The elements of the payer's page, and the few ways its scripts change them. Text from outside
 * only ever goes through `textContent`. */

/** A sentence for the payer that says what happened and what to do. */
export class Problem extends Error {}

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found as T;
}

export function setText(id: string, text: string): void {
  const target = element(id);
  // Writing the same text again would make a screen reader repeat it.
  if (target.textContent !== text) target.textContent = text;
}

export function show(id: string, visible: boolean): void {
  element(id).hidden = !visible;
}

/** Keep the focus on the page when what had it is hidden: the keyboard would begin at the top
 * again, and a screen reader would say nothing. */
export function keepFocus(id: string): void {
  const lost = document.activeElement?.closest("[hidden]") ?? null;
  if (lost !== null) element(id).focus({ preventScroll: true });
}

/** Say `text` as an alert; the empty text takes the alert away. */
export function say(text: string): void {
  setText("problem", text);
  show("problem", text !== "");
  if (text !== "") element("problem").scrollIntoView({ block: "nearest" });
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
