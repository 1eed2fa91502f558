// A relay as WalletConnect 2.0 describes it (irn_publish, irn_subscribe, mailboxes), and a wallet
// by the library that wallets use. What the wallet is asked for is answered by the program that
// started this one: a line of JSON each way.
import { createInterface } from "node:readline";

import { SignClient } from "@walletconnect/sign-client";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const mailboxes = new Map();
const followers = new Map();
let count = 0;

function deliver(socket, subscription, data) {
  const id = Date.now() * 1000 + (count += 1);
  const params = { id: subscription, data };
  socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "irn_subscription", params }));
}

function publish({ topic, message, tag }, from) {
  const data = { topic, message, tag, publishedAt: Date.now() };
  let delivered = false;
  for (const { socket, id } of followers.get(topic) ?? []) {
    if (socket === from || socket.readyState !== socket.OPEN) continue;
    delivered = true;
    deliver(socket, id, data);
  }
  if (!delivered) mailboxes.set(topic, [...(mailboxes.get(topic) ?? []), data]);
  return true;
}

function subscribe(socket, topic) {
  const id = `${topic.slice(0, 32)}${(count += 1)}`;
  followers.set(topic, [...(followers.get(topic) ?? []), { socket, id }]);
  for (const data of mailboxes.get(topic) ?? []) {
    deliver(socket, id, data);
  }
  mailboxes.delete(topic);
  return id;
}

function answer(socket, method, params) {
  switch (method) {
    case "irn_publish":
      return publish(params, socket);
    case "irn_subscribe":
      return subscribe(socket, params.topic);
    case "irn_batchSubscribe":
      return params.topics.map((topic) => subscribe(socket, topic));
    case "irn_unsubscribe":
    case "irn_batchUnsubscribe":
      return true;
    case "irn_fetchMessages":
    case "irn_batchFetchMessages":
      return { messages: [], hasMore: false };
    default:
      throw new Error(`the relay does not know ${method}`);
  }
}

const relay = new WebSocketServer({ host: "127.0.0.1", port });
await new Promise((listening) => relay.once("listening", listening));
relay.on("connection", (socket, { url }) => {
  say({ connected: new URL(url, "ws://relay").searchParams.get("projectId") });
  socket.on("message", (text) => {
    const { id, method, params } = JSON.parse(text);
    if (method === undefined) return;
    try {
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: answer(socket, method, params) }));
    } catch (error) {
      const unknown = { code: -32601, message: error.message };
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, error: unknown }));
    }
  });
});

const wallet = await SignClient.init({
  projectId: "wallet",
  relayUrl: `ws://127.0.0.1:${port}`,
  storageOptions: { database: ":memory:" },
  telemetryEnabled: false,
  logger: "silent",
  metadata: {
    name: "Lighthouse Wallet",
    description: "",
    url: "https://wallet.example",
    icons: [],
  },
});
wallet.core.verify.resolve = () => Promise.resolve(undefined);
wallet.on("session_proposal", ({ id, params }) => say({ proposal: id, params }));
wallet.on("session_request", ({ id, topic, params }) => say({ request: id, topic, params }));
wallet.on("session_delete", () => say({ left: true }));

const acts = {
  pair: (uri) => wallet.pair({ uri }),
  approve: async ({ id, namespaces }) => {
    const { acknowledged } = await wallet.approve({ id, namespaces });
    await acknowledged();
  },
  reject: (id) => wallet.reject({ id, reason: { code: 5000, message: "User rejected." } }),
  respond: ({ topic, response }) => wallet.respond({ topic, response }),
};
say({ ready: port });
for await (const line of createInterface({ input: process.stdin })) {
  const [[act, what]] = Object.entries(JSON.parse(line));
  acts[act](what).catch((error) => say({ failed: act, why: String(error.message ?? error) }));
}
process.exit(0);
