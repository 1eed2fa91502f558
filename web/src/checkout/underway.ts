/** A payment that this browser sent and no chain has shown yet. Every tab of the session knows it,
 * also after a reload, so that none offers to pay a second time. */

let kept: string | null = null;
let isAlone = false;

function key(sessionId: string): string {
  return `gstable-sent-${sessionId}`;
}

/** Its name: a transaction's hash, or the server's name for it; null when there is none. */
export function underway(sessionId: string): string | null {
  if (isAlone) return kept;
  try {
    return localStorage.getItem(key(sessionId));
  } catch {
    // A browser that keeps nothing: this tab knows it until it is closed.
    return kept;
  }
}

/** Remember it, or with null that there is none any more. */
export function note(sessionId: string, name: string | null): void {
  kept = name;
  try {
    if (name === null) localStorage.removeItem(key(sessionId));
    else localStorage.setItem(key(sessionId), name);
    isAlone = false;
  } catch {
    // As above; and there are browsers that can be read from while they are full.
    isAlone = true;
  }
}

/** Call `told` when another tab of this session has sent a payment, or given one up. */
export function hearTabs(sessionId: string, told: (name: string | null) => void): void {
  window.addEventListener("storage", (event) => {
    if (event.key === key(sessionId)) told(event.newValue);
  });
}
