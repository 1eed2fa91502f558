/** The merchant's side: a button that opens the payer's page in a modal of the merchant's own site.
 *
 *     <script type="module" src="https://pay.example/embed/v1/gstable.js"></script>
 *     <gstable-button link="https://pay.example/link/…">Pay</gstable-button>
 *     <a data-gstable href="https://pay.example/link/…">Pay</a>
 *
 * Tells what happened as `gstable:opened`, `gstable:paid` and `gstable:closed` on the element that
 * was clicked. None of them proves a payment: that is the webhook's word, or the API's.
 */

type What = "ready" | "paid" | "close" | "leave";
type Said = { gstable: 1; type: What; session: string; url: string };

const HOME = new URL(import.meta.url).origin;
const PATH = /^\/(link|pay)\/[A-Za-z0-9_-]+$/;
const READY_WITHIN = 5000;
// So long a wallet may still be asking the payer; then the page asks the server for nothing more.
const REST_AFTER = 30000;
const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
dialog{box-sizing:border-box;width:min(62rem,100vw);height:min(56rem,100dvh);max-width:100vw;
max-height:100dvh;margin:auto;padding:0;border:0;border-radius:14px;overflow:hidden;
background:Canvas;color:CanvasText}
dialog::backdrop{background:#000a}
iframe{display:block;width:100%;height:100%;border:0}
dialog button{position:absolute;inset-block-start:.25rem;inset-inline-end:.25rem;width:2.75rem;
height:2.75rem;border:0;border-radius:50%;background:Canvas;color:CanvasText;font:1.5rem system-ui;
cursor:pointer}
@media(max-width:40rem){dialog{border-radius:0}}
@media(prefers-reduced-motion:no-preference){dialog[open]{animation:a .15s}\
@keyframes a{from{opacity:0}}}
`);
const BUTTON = new CSSStyleSheet();
BUTTON.replaceSync(`
button{min-height:2.75rem;padding:.5em 1.25em;border:0;border-radius:10px;background:#1a56db;
color:#fff;font:600 1rem system-ui;cursor:pointer}
button:focus-visible{outline:3px solid #1a56db;outline-offset:2px}
`);

const modals = new Map<string, Modal>();

/** One payer's page. Where it is closed it is put away, and opened again where it was: a payment on
 * its way is found again. */
class Modal {
  private readonly host = document.createElement("div");
  private readonly dialog = document.createElement("dialog");
  private readonly frame = document.createElement("iframe");
  private by: HTMLElement;
  private overflow = "";
  private ready = false;
  private over = false;
  private session = "";
  private resting = 0;

  constructor(
    private readonly url: string,
    by: HTMLElement,
  ) {
    this.by = by;
    const root = this.host.attachShadow({ mode: "closed" });
    root.adoptedStyleSheets = [SHEET];
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "×";
    close.ariaLabel = by.getAttribute("close-label") ?? "Close";
    close.onclick = () => this.dialog.close();
    this.frame.title = by.getAttribute("frame-title") ?? "Payment";
    this.frame.allow = "clipboard-write; publickey-credentials-get";
    this.frame.referrerPolicy = "origin";
    this.frame.onload = () => setTimeout(() => this.requireReady(), READY_WITHIN);
    this.dialog.ariaLabel = this.frame.title;
    this.dialog.append(close);
    this.dialog.onclose = () => this.closed();
    root.append(this.dialog);
    document.body.append(this.host);
    addEventListener("message", this.hear);
  }

  /** The browser itself keeps the focus inside, closes on Escape, and gives the focus back. */
  open(by: HTMLElement): void {
    this.by = by;
    if (this.dialog.open) return;
    clearTimeout(this.resting);
    if (!this.frame.isConnected) this.load();
    const { style } = document.documentElement;
    [this.overflow, style.overflow] = [style.overflow, "hidden"];
    this.dialog.showModal();
    this.frame.focus();
    tell(by, "opened", "");
  }

  private load(): void {
    const { pathname, search } = new URL(this.url);
    const path = this.session === "" ? pathname : `/pay/${this.session}`;
    this.frame.src = HOME + path + search;
    this.dialog.prepend(this.frame);
  }

  private rest(): void {
    this.ready = false;
    this.frame.remove();
  }

  private closed(): void {
    document.documentElement.style.overflow = this.overflow;
    tell(this.by, "closed", "");
    if (this.over) this.remove();
    else this.resting = setTimeout(() => this.rest(), REST_AFTER);
  }

  private remove(): void {
    removeEventListener("message", this.hear);
    this.host.remove();
    modals.delete(this.url);
  }

  /** Where this site may not frame the page the payer goes to it. */
  private requireReady(): void {
    if (this.ready || !this.frame.isConnected) return;
    this.remove();
    location.assign(this.url);
  }

  private readonly hear = ({ source, origin, data }: MessageEvent<unknown>): void => {
    if (source !== this.frame.contentWindow || origin !== HOME || !isSaid(data)) return;
    this.ready = true;
    this.session = data.session || this.session;
    if (data.type === "close") this.dialog.close();
    if (data.type === "paid") {
      this.over = true;
      tell(this.by, "paid", data.session);
    }
    if (data.type === "leave" && isWeb(data.url)) location.assign(data.url);
  };
}

function isSaid(data: unknown): data is Said {
  if (typeof data !== "object" || data === null) return false;
  const { gstable, type, session, url } = data as Record<string, unknown>;
  const texts = typeof session === "string" && typeof url === "string";
  return gstable === 1 && texts && ["ready", "paid", "close", "leave"].includes(String(type));
}

function isWeb(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

function tell(target: HTMLElement, what: string, sessionId: string): void {
  const detail = sessionId === "" ? {} : { sessionId };
  target.dispatchEvent(new CustomEvent(`gstable:${what}`, { bubbles: true, detail }));
}

/** Open the payer's page of `link`, which must be one of the server that this script is from. */
function open(link: string, by: HTMLElement): boolean {
  const url = URL.canParse(link, location.href) ? new URL(link, location.href) : null;
  if (url?.origin !== HOME || !PATH.test(url.pathname)) {
    console.error(`gstable: ${link} is no payment page of ${HOME}`);
    return false;
  }
  const modal = modals.get(url.href) ?? new Modal(url.href, by);
  modals.set(url.href, modal);
  modal.open(by);
  return true;
}

class GstableButton extends HTMLElement {
  connectedCallback(): void {
    if (this.shadowRoot !== null) return;
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [BUTTON];
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("part", "button");
    button.append(document.createElement("slot"));
    button.onclick = () => open(this.getAttribute("link") ?? "", this);
    root.append(button);
  }
}

if (customElements.get("gstable-button") === undefined) {
  customElements.define("gstable-button", GstableButton);
  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey);
    const link = (event.target as Element | null)?.closest<HTMLAnchorElement>("a[data-gstable]");
    if (plain && link && open(link.href, link)) event.preventDefault();
  });
}
