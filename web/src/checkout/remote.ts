/** A wallet of another device, by a QR code. It is offered where the operator named a relay, and
 * nothing of it is loaded before the payer chooses it. It signs and sends; what a network says is
 * asked of the payment server. */

import { chosenRoute } from "./chosen";
import { element, Problem, setText } from "./page";
import type { Answer, Question } from "./server";
import type { Provider, Wallet } from "./wallet";
import type { Connection } from "./walletconnect";
import { gettext } from "./words";

type Ask = (question: Question) => Promise<Answer>;

const REACHED_WITHIN = 10_000;
const DECLINED = 4001;
const NOT_ON_CHAIN = 4901;
const UNKNOWN_CHAIN = 4902;
const REVERTED = 3;

/** The wallet, not connected yet; null where the page does not offer one. */
export function remoteWallet(form: HTMLFormElement, ask: Ask): Wallet | null {
  const place = document.getElementById("remote-wallets");
  if (place === null) return null;
  const name = element("remote-wallet").textContent;
  const wallet: Wallet = { name, icon: null, provider: new Remote(place, form, ask, renamed) };
  function renamed(said: string): void {
    wallet.name = said === "" ? name : said;
  }
  return wallet;
}

class Remote implements Provider {
  #connection: Connection | null = null;
  #chainId = 0;
  readonly #listeners: (() => void)[] = [];

  constructor(
    private readonly place: HTMLElement,
    private readonly form: HTMLFormElement,
    private readonly ask: Ask,
    private readonly renamed: (name: string) => void,
  ) {}

  on(event: string, listener: () => void): void {
    if (event === "accountsChanged") this.#listeners.push(listener);
  }

  async request({
    method,
    params = [],
  }: {
    method: string;
    params?: readonly unknown[];
  }): Promise<unknown> {
    switch (method) {
      case "eth_requestAccounts":
        this.#chainId = chosenRoute(this.form).chainId;
        if (this.#connection?.isOpen !== true) this.#connection = await this.connect();
        this.renamed(this.#connection.name);
        return this.accounts();
      case "eth_accounts":
        return this.accounts();
      case "eth_chainId":
        return `0x${this.#chainId.toString(16)}`;
      case "wallet_switchEthereumChain":
        return this.enter(Number((params[0] as { chainId: string }).chainId));
      case "wallet_addEthereumChain":
        throw { code: NOT_ON_CHAIN };
      case "eth_sendTransaction":
      case "eth_signTypedData_v4":
        return this.#connection?.request(this.#chainId, method, params);
    }
    const { result, problem } = await this.ask(questionOf(this.#chainId, method, params));
    if (problem !== undefined) throw { code: REVERTED, message: problem };
    return result;
  }

  private accounts(): string[] {
    const account = this.#connection?.account(this.#chainId) ?? null;
    return account === null ? [] : [account];
  }

  private enter(chainId: number): null {
    if ((this.#connection?.account(chainId) ?? null) === null) throw { code: UNKNOWN_CHAIN };
    this.#chainId = chainId;
    return null;
  }

  /** Show the code, and wait until a wallet has scanned it or the payer gives up. */
  private async connect(): Promise<Connection> {
    const dialog = element<HTMLDialogElement>("remote");
    const { project: projectId = "", relay: relayUrl = "" } = this.place.dataset;
    element("remote-code").setAttribute("hidden", "");
    element("remote-app").hidden = true;
    setText("remote-waiting", gettext("Reaching the connection service."));
    dialog.showModal();
    try {
      return await new Promise<Connection>((connected, failed) => {
        dialog.addEventListener("close", () => failed({ code: DECLINED }), { once: true });
        const late = setTimeout(() => failed(unreachable()), REACHED_WITHIN);
        const changed = (): void => this.#listeners.forEach((tell) => tell());
        load(this.place)
          .then(({ codeOf, connect }) => {
            const shown = (uri: string): void => {
              clearTimeout(late);
              showCode(uri, codeOf(uri));
            };
            return connect({ projectId, relayUrl, chainIds: chains() }, shown, changed);
          })
          .then(connected, (error: unknown) => failed(error))
          .finally(() => clearTimeout(late));
      });
    } finally {
      dialog.close();
    }
  }
}

function showCode(uri: string, { size, path }: { size: number; path: string }): void {
  const code = element<HTMLElement>("remote-code");
  code.setAttribute("viewBox", `0 0 ${size} ${size}`);
  code.querySelector("path")?.setAttribute("d", path);
  code.removeAttribute("hidden");
  element<HTMLAnchorElement>("remote-app").href = uri;
  element("remote-app").hidden = false;
  setText("remote-waiting", gettext("Open your wallet to connect it."));
}

/** The file as it was built, or nothing: a module that is imported is not held against a hash by
 * itself, but it is the same one as that of an element which is. */
async function load(place: HTMLElement): Promise<typeof import("./walletconnect")> {
  const { library = "", libraryIntegrity = "", script = "", integrity = "" } = place.dataset;
  await run(library, libraryIntegrity);
  await run(script, integrity);
  return (await import(/* @vite-ignore */ script)) as typeof import("./walletconnect");
}

function run(address: string, integrity: string): Promise<void> {
  return new Promise((loaded, failed) => {
    const tag = document.createElement("script");
    [tag.type, tag.src, tag.integrity] = ["module", address, integrity];
    tag.addEventListener("load", () => loaded());
    tag.addEventListener("error", () => failed(unreachable()));
    document.head.append(tag);
  });
}

/** Every network that the page can be paid on. */
function chains(): number[] {
  const groups = element("routes").querySelectorAll<HTMLElement>(".route");
  return [...groups].map(({ dataset }) => Number(dataset["chain"]));
}

function questionOf(chainId: number, method: string, params: readonly unknown[]): Question {
  const asked = { chainId, method };
  switch (method) {
    case "eth_call": {
      const { from, to, data } = params[0] as { from?: string; to: string; data: string };
      return { ...asked, to, data, ...(from === undefined ? {} : { account: from }) };
    }
    case "eth_getBalance":
      return { ...asked, account: String(params[0]) };
    case "eth_getTransactionReceipt":
      return { ...asked, txHash: String(params[0]) };
    default:
      return asked;
  }
}

function unreachable(): Problem {
  return new Problem(
    gettext(
      "The service that connects other wallets could not be reached. Nothing was paid; " +
        "try again or pay another way.",
    ),
  );
}
