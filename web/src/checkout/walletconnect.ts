/** A wallet of another device over a relay (WalletConnect 2.0), by the library. Loaded only when a
 * payer chooses it: it is larger than all the rest of the page. */

import { SignClient } from "@walletconnect/sign-client";
import { encode } from "uqr";

type Client = Awaited<ReturnType<typeof SignClient.init>>;
type Session = Awaited<ReturnType<Awaited<ReturnType<Client["connect"]>>["approval"]>>;

export interface RelaySettings {
  projectId: string;
  relayUrl: string;
  chainIds: readonly number[];
}

const METHODS = ["eth_sendTransaction", "eth_signTypedData_v4"];
const EVENTS = ["accountsChanged", "chainChanged"];
const REJECTED_BY_USER = [5000, 4001];
const DECLINED = 4001;
const DISCONNECTED = 4900;

/** Forgotten with the page: nothing of it is left in the browser. */
class Memory {
  readonly #kept = new Map<string, unknown>();

  getKeys(): Promise<string[]> {
    return Promise.resolve([...this.#kept.keys()]);
  }

  getEntries<T>(): Promise<[string, T][]> {
    return Promise.resolve([...this.#kept.entries()] as [string, T][]);
  }

  getItem<T>(key: string): Promise<T | undefined> {
    return Promise.resolve(this.#kept.get(key) as T | undefined);
  }

  setItem<T>(key: string, value: T): Promise<void> {
    this.#kept.set(key, value);
    return Promise.resolve();
  }

  removeItem(key: string): Promise<void> {
    this.#kept.delete(key);
    return Promise.resolve();
  }
}

let opened: Promise<Client> | null = null;

async function open({ projectId, relayUrl }: RelaySettings): Promise<Client> {
  const client = await SignClient.init({
    projectId,
    relayUrl,
    storage: new Memory(),
    telemetryEnabled: false,
    logger: "silent",
    metadata: {
      name: document.title,
      description: document.title,
      url: location.origin,
      icons: [],
    },
  });
  // Asks the maker's own site to vouch for ours, in a hidden frame: nobody else is to be asked.
  client.core.verify.register = () => Promise.resolve(undefined);
  return client;
}

/** A wallet that was connected. */
export class Connection {
  readonly name: string;

  constructor(
    private readonly client: Client,
    private readonly session: Session,
    changed: () => void,
  ) {
    this.name = session.peer.metadata.name.trim().slice(0, 40);
    const heard = ({ topic }: { topic: string }): void => {
      if (topic === session.topic) changed();
    };
    client.on("session_event", heard);
    client.on("session_update", heard);
    client.on("session_delete", heard);
  }

  /** Whether the wallet is still connected. */
  get isOpen(): boolean {
    return this.client.session.keys.includes(this.session.topic);
  }

  /** The account for a network; null where the wallet offers none. */
  account(chainId: number): string | null {
    if (!this.isOpen) return null;
    const { namespaces } = this.client.session.get(this.session.topic);
    const prefix = `eip155:${chainId}:`;
    const found = Object.values(namespaces)
      .flatMap(({ accounts }) => accounts)
      .find((account) => account.startsWith(prefix));
    return found?.slice(prefix.length) ?? null;
  }

  async request(chainId: number, method: string, params: readonly unknown[]): Promise<unknown> {
    const { topic } = this.session;
    if (!this.isOpen) throw { code: DISCONNECTED };
    try {
      return await this.client.request({
        topic,
        chainId: `eip155:${chainId}`,
        request: { method, params },
      });
    } catch (error) {
      throw translated(error);
    }
  }
}

/** The library's code for a payer's no is another one than that of wallets (EIP-1193). */
function translated(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const isRejected = typeof code === "number" && REJECTED_BY_USER.includes(code);
  return isRejected ? { code: DECLINED, message } : error;
}

/** Ask the relay for a meeting place and wait for a wallet there. `shown` gets what the wallet has
 * to scan; `changed` is called whenever the wallet changes its account, or leaves. */
export async function connect(
  settings: RelaySettings,
  shown: (uri: string) => void,
  changed: () => void,
): Promise<Connection> {
  opened ??= open(settings);
  const client = await opened;
  const chains = settings.chainIds.map((chainId) => `eip155:${chainId}`);
  const { uri, approval } = await client.connect({
    optionalNamespaces: { eip155: { chains, methods: METHODS, events: EVENTS } },
  });
  shown(uri ?? "");
  try {
    return new Connection(client, await approval(), changed);
  } catch (error) {
    throw translated(error);
  }
}

/** `text` as a QR code: its size in modules, and the dark ones as a path of SVG. */
export function codeOf(text: string): { size: number; path: string } {
  const { data, size } = encode(text, { ecc: "M", border: 2 });
  const rows = data.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
  return { size, path: rows.flat().join("") };
}
