/** The status as a stream: the server tells of each change at once (Server-Sent Events). Where that
 * does not work, behind an old proxy for example, the page asks again and again instead. */

import type { Status } from "./server";

const AGAIN_AFTER = 30_000;

let source: EventSource | null = null;
let again = 0;
let works = false;

/** Whether the server tells of changes, so that nobody needs to ask. */
export function isTold(): boolean {
  return works;
}

/** Follow the stream; `said` is called at once and after each change, `lost` when it broke off or
 * was refused. A stream that broke off is opened again by the browser itself. */
export function hear(
  sessionId: string,
  relay: string,
  said: (status: Status) => void,
  lost: () => void,
): void {
  hush();
  const query = new URLSearchParams({ lang: document.documentElement.lang });
  if (relay !== "") query.set("relay", relay);
  const opened = new EventSource(`/pay/${sessionId}/events?${query}`);
  source = opened;
  opened.onmessage = ({ data }) => {
    works = true;
    said(JSON.parse(String(data)) as Status);
  };
  opened.addEventListener("end", hush);
  opened.onerror = () => {
    works = false;
    lost();
    if (opened.readyState !== EventSource.CLOSED) return;
    clearTimeout(again);
    again = setTimeout(() => hear(sessionId, relay, said, lost), AGAIN_AFTER);
  };
}

/** Close the stream: a page in the background must not keep one of the few connections that a
 * browser opens to one site. */
export function hush(): void {
  clearTimeout(again);
  source?.close();
  [source, works] = [null, false];
}
