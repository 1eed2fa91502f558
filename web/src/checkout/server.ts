/** What the server tells this page. Amounts for people come as finished text; the atomic amounts
 * are decimal strings, compared as BigInt and never shown. */

import { Problem } from "./page";

export interface Call {
  to: string;
  data: string;
  value: string;
}

/** The terms that the platform signed, and the calls that carry them (spec 15, Payer pages). */
export interface Prepared {
  chainId: number;
  chainIdHex: string;
  networkName: string;
  nativeSymbol: string;
  rpcUrl: string | null;
  tokenAddress: string;
  tokenSymbol: string;
  approve: Call;
  resetApprove: Call;
  pay: Call;
  terms: {
    merchantAmount: string;
    merchantAmountText: string;
    feeAmount: string;
    feeAmountText: string;
    total: string;
    totalText: string;
    deadline: number;
    recipient: string;
    router: string;
  };
}

export interface Status {
  state: string;
  phase: "open" | "progress" | "done" | "closed";
  headline: string;
  detail: string;
  notices: string[];
  confirmations: { count: number; needed: number } | null;
  receipt: { text: string; txHash: string } | null;
  expiresAt: number;
  now: number;
  redirectUrl: string | null;
}

export interface Choice {
  clientCode: string;
  tokenId: string;
  payer: string;
  payerEmail?: string;
}

const UNREACHABLE = "This page could not reach the payment server. Check your connection.";

export async function prepare(sessionId: string, choice: Choice): Promise<Prepared> {
  return (await answerOf(`/pay/${sessionId}/prepare`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(choice),
  })) as Prepared;
}

export async function fetchStatus(sessionId: string): Promise<Status> {
  return (await answerOf(`/pay/${sessionId}/status`, {})) as Status;
}

/** Throws `Problem` with the server's own words, which say what to do. */
async function answerOf(path: string, request: RequestInit): Promise<unknown> {
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(path, { ...request, cache: "no-store", credentials: "same-origin" });
    answer = await response.json();
  } catch {
    throw new Problem(UNREACHABLE);
  }
  if (response.ok) return answer;
  const { problem } = (answer ?? {}) as { problem?: unknown };
  throw new Problem(typeof problem === "string" ? problem : UNREACHABLE);
}
