/** What the server tells this page. Amounts for people come as finished text; the atomic amounts
 * are decimal strings, compared as BigInt and never shown. */

import { Problem } from "./page";
import { gettext, inLanguage } from "./words";

export interface Call {
  to: string;
  data: string;
  value: string;
}

/** How the payment contract gets the tokens; the server says which of them a token allows. */
export type Way = "erc3009" | "permit2" | "permit" | "approve";

/** What a wallet signs (`eth_signTypedData_v4`); a permit comes without the owner's nonce. */
export interface TypedData {
  types: Record<string, { name: string; type: string }[]>;
  primaryType: string;
  domain: { name: string; version?: string; chainId: number; verifyingContract: string };
  message: Record<string, unknown>;
}

/** The order that the platform signed, as the call that pays it, and what the wallet has to do for
 * one way to pay: all of it in the order's bytes already, and believed only as far (agree.ts). */
export interface Prepared {
  way: Way;
  order: string;
  digest: string;
  spender: string | null;
  approve: Call | null;
  resetApprove: Call | null;
  pay: Call | null;
  typedData: TypedData | null;
}

export interface Status {
  state: string;
  phase: "open" | "progress" | "done" | "closed";
  headline: string;
  detail: string;
  notices: string[];
  confirmations: { count: number; needed: number; text: string } | null;
  receipt: { text: string; txHash: string } | null;
  expiresAt: number;
  now: number;
  redirectUrl: string | null;
  again: boolean;
  relay: "waiting" | "doubtful" | "sent" | "failed" | null;
}

export interface Choice {
  clientCode: string;
  tokenId: string;
  way: string;
  payer: string;
  payerEmail?: string;
}

export interface Signed {
  clientCode: string;
  digest: string;
  way: Way;
  payer: string;
  signature: string;
}

/** What follows a signature: the server sends the payment named `relay`, or the payer `pay`. */
export interface Authorized {
  relay: string | null;
  pay: Call | null;
}

/** What a page asks of a network through the server; `account` is who would send the call. */
export interface Question {
  chainId: number;
  method: string;
  account?: string;
  to?: string;
  data?: string;
  txHash?: string;
}

/** `problem`: why a call would fail. */
export interface Answer {
  result?: unknown;
  problem?: string;
}

/** The server could not be asked: the network is away, or the server. */
export class Unreachable extends Problem {}

export async function prepare(sessionId: string, choice: Choice): Promise<Prepared> {
  return (await post(`/pay/${sessionId}/prepare`, choice)) as Prepared;
}

export async function authorize(sessionId: string, signed: Signed): Promise<Authorized> {
  return (await post(`/pay/${sessionId}/authorize`, signed)) as Authorized;
}

export async function askNetwork(
  sessionId: string,
  clientCode: string,
  question: Question,
): Promise<Answer> {
  return (await post(`/pay/${sessionId}/network`, { clientCode, ...question })) as Answer;
}

/** `relay` is the payment that the server sends for this page, or the empty text. */
export async function fetchStatus(sessionId: string, relay: string): Promise<Status> {
  const query = relay === "" ? "" : `?relay=${encodeURIComponent(relay)}`;
  return (await answerOf(`/pay/${sessionId}/status${query}`, {})) as Status;
}

function post(path: string, body: unknown): Promise<unknown> {
  return answerOf(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Throws `Problem` with the server's own words, which say what to do. */
async function answerOf(path: string, request: RequestInit): Promise<unknown> {
  let response: Response;
  let answer: unknown;
  try {
    const asked: RequestInit = { ...request, cache: "no-store", credentials: "same-origin" };
    response = await fetch(inLanguage(path), asked);
    answer = await response.json();
  } catch {
    throw unreachable();
  }
  if (response.ok) return answer;
  const { problem } = (answer ?? {}) as { problem?: unknown };
  throw typeof problem === "string" ? new Problem(problem) : unreachable();
}

function unreachable(): Unreachable {
  return new Unreachable(
    gettext("This page could not reach the payment server. Check your connection."),
  );
}
