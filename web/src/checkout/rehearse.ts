/** Trying a payment before the wallet is asked for anything, as far as a network can tell without a
 * signature. Asked through the payer's own wallet, for the payer's own sake: nobody is credited for
 * what is said here. */

import { word } from "./abi";
import type { Agreed } from "./agree";
import { balanceOf, isAllowed, readUint, wouldWork } from "./chain";
import { Problem, pause } from "./page";
import type { Call } from "./server";
import { ask, type Provider } from "./wallet";
import { gettext } from "./words";

const IS_SIGNER = "0x7df73e27";
const PAID = "0xadd89bb2";
const PAUSED = "0x5c975abb";
const TRANSFER = "0xa9059cbb";
const POLL_EVERY = 1000;
const REHEARSALS = 3;

/** Throws `Problem` when this payer cannot pay this now, and says what is in the way. `sends`:
 * whether the wallet has to send a transaction, which costs the network's fee. */
export async function requirePayable(
  provider: Provider,
  agreed: Agreed,
  payer: string,
  sends: boolean,
): Promise<void> {
  await Promise.all([
    requireFunds(provider, agreed, payer, sends),
    requireOpen(provider, agreed),
  ]);
  const { order } = agreed;
  const receiver = order.passage?.rail ?? order.merchant;
  const data = TRANSFER + word(receiver) + word(order.amount);
  if (await wouldWork(provider, { to: order.token, data, value: "0x0" }, payer)) return;
  throw new Problem(
    gettext(
      "The token refuses to be moved from this account, so nothing was sent. " +
        "Choose another account or pay another way.",
    ),
  );
}

/** Throws `Problem` when the very call that the wallet is to send would fail, and says why. */
export async function requireWorking(
  provider: Provider,
  agreed: Agreed,
  pay: Call,
  payer: string,
): Promise<void> {
  for (let tries = 0; tries < REHEARSALS; tries += 1) {
    // A wallet may read from several nodes, of which one can be a block behind the permission.
    if (tries > 0) await pause(POLL_EVERY);
    if (await wouldWork(provider, pay, payer)) return;
  }
  await requirePayable(provider, agreed, payer, true);
  if (!(await isAllowed(provider, agreed, payer))) {
    throw new Problem(
      gettext(
        "The permission in your wallet is below %(amount)s. " +
          "Try again and leave the amount as it is.",
        { amount: agreed.totalText },
      ),
    );
  }
  throw new Problem(
    gettext(
      "The network says this payment would fail, so nothing was sent. It may be paid already, " +
        "or its time is over. Reload this page to see.",
    ),
  );
}

async function requireFunds(
  provider: Provider,
  { order, route, total, totalText: amount }: Agreed,
  payer: string,
  sends: boolean,
): Promise<void> {
  const { networkName: network, nativeSymbol: coin, token } = route;
  if ((await balanceOf(provider, order.token, payer)) < total) {
    throw new Problem(
      gettext(
        "This account has less than %(amount)s on %(network)s. Add %(token)s to it, choose " +
          "another account in your wallet, or pay another way.",
        { amount, network, token: token.symbol },
      ),
    );
  }
  const native = sends ? await ask(provider, "eth_getBalance", [payer, "latest"]) : null;
  if (typeof native === "string" && BigInt(native) === 0n) {
    throw new Problem(
      gettext(
        "This account has no %(coin)s to pay the network's fee on %(network)s. " +
          "Add a little and try again.",
        { coin, network },
      ),
    );
  }
}

/** The payment contract takes this order now: it runs, knows who signed, and was not paid yet. */
async function requireOpen(
  provider: Provider,
  { order, route, signer }: Agreed,
): Promise<void> {
  const question = (data: string): Promise<bigint> =>
    readUint(provider, { to: route.router, data });
  const [isPaused, isPaid, isKnown, block] = await Promise.all([
    question(PAUSED),
    question(PAID + word(order.sessionKey)),
    question(IS_SIGNER + word(signer)),
    ask(provider, "eth_getBlockByNumber", ["latest", false]),
  ]);
  if (isPaid !== 0n) {
    throw new Problem(gettext("This is paid already. Do not pay again; reload this page to see."));
  }
  if (isPaused !== 0n || isKnown === 0n) {
    throw new Problem(
      gettext("Payments on %(network)s are stopped at the moment. Pay another way.", {
        network: route.networkName,
      }),
    );
  }
  const { timestamp } = (block ?? {}) as { timestamp?: unknown };
  if (typeof timestamp === "string" && BigInt(timestamp) > order.deadline) {
    throw new Problem(gettext("The time for these terms is over. Choose the wallet again."));
  }
}
