/** The builder of payment links: the preview follows what is typed. The server makes the page;
 * without this script a button shows it anew. */

const PAUSE_MS = 350;

export function followBuilder(): void {
  const form = document.querySelector<HTMLFormElement>("form[data-builder]");
  const frame = document.querySelector<HTMLIFrameElement>("iframe[name=preview]");
  if (!form || !frame) return;
  document.querySelector<HTMLElement>("[data-preview-hint]")?.setAttribute("hidden", "");
  let waiting = 0;
  let asked: AbortController | null = null;

  async function show(to: HTMLFormElement, into: HTMLIFrameElement): Promise<void> {
    asked?.abort();
    asked = new AbortController();
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(to)) {
      if (typeof value === "string") fields.append(name, value);
    }
    try {
      const answer = await fetch(to.dataset["builder"] ?? "", {
        method: "POST",
        body: fields,
        signal: asked.signal,
      });
      // A login that is over sends elsewhere: what was typed stays, and saving says so.
      if (answer.ok && !answer.redirected) into.srcdoc = await answer.text();
    } catch (error) {
      if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
    }
  }

  function soon(): void {
    clearTimeout(waiting);
    waiting = window.setTimeout(() => {
      if (form && frame) void show(form, frame);
    }, PAUSE_MS);
  }

  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!(button instanceof HTMLElement) || !("preview" in button.dataset)) return;
    event.preventDefault();
    void show(form, frame);
  });
  soon();
}

/** Buttons that hand an address to another app of the device, where the device offers it. */
export function shareButtons(): void {
  if (navigator.share === undefined) return;
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-share]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const { share: url, shareTitle: title } = button.dataset;
      // Somebody who closes the device's own sheet has changed their mind: nothing to say.
      navigator.share({ url: url ?? "", title: title ?? "" }).catch(() => undefined);
    });
  }
}
