/** What the page itself says of a way to pay, before the server is asked to prepare it: what was
 * prepared is held against this. */

import { element } from "./page";
import { isolate } from "./words";

/** The network that a wallet is to be on, and what it has to know to add it. */
export interface Target {
  chainId: number;
  networkName: string;
  nativeSymbol: string;
  rpcUrl: string;
}

export interface Token {
  chainId: number;
  address: string;
  symbol: string;
  decimals: number;
}

/** A token to pay with. `name` and `version` are what its own signatures are for (EIP-712). */
export interface Route extends Target {
  tokenId: string;
  way: string;
  token: Token;
  name: string;
  version: string;
  router: string;
  permit2: string;
  collector: string;
}

/** The token that is chosen. */
export function chosenRoute(form: HTMLFormElement): Route {
  const input = form.querySelector<HTMLInputElement>('input[name="tokenId"]:checked');
  const network = input?.closest<HTMLElement>(".route");
  if (!input || !network) throw new Error("the form was sent without a choice");
  const { chain, network: networkName = "", native: nativeSymbol = "" } = network.dataset;
  const { rpc: rpcUrl = "", router = "", permit2 = "", collector = "" } = network.dataset;
  const { token = "", symbol = "", decimals, name = "", version = "", way = "" } = input.dataset;
  const chainId = Number(chain);
  return {
    tokenId: input.value,
    way,
    token: { chainId, address: token, symbol, decimals: Number(decimals) },
    chainId,
    networkName,
    nativeSymbol,
    rpcUrl,
    name,
    version,
    router,
    permit2,
    collector,
  };
}

/** What the merchant is paid in, and where. */
export function settlement(): Token & { networkName: string } {
  const about = element("pay").dataset;
  return {
    networkName: about["settlementNetwork"] ?? "",
    chainId: Number(about["settlementChain"]),
    address: about["settlementToken"] ?? "",
    symbol: about["settlementSymbol"] ?? "",
    decimals: Number(about["settlementDecimals"]),
  };
}

/** An exact amount in the page's language, with at least two decimals, as the server writes it. */
export function amountText(atomic: bigint, { decimals, symbol }: Token): string {
  const { lang } = document.documentElement;
  const format = new Intl.NumberFormat(lang, { numberingSystem: "latn", useGrouping: true });
  const point = format.formatToParts(0.5).find(({ type }) => type === "decimal")?.value ?? ".";
  const unit = 10n ** BigInt(decimals);
  const rest = String(atomic % unit).padStart(decimals, "0");
  const fraction = rest.replace(/0+$/, "").padEnd(2, "0");
  return isolate(`${format.format(atomic / unit)}${point}${fraction} ${symbol}`);
}
