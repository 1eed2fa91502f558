// Builds the pages' modules and styles into the server package, with names that change with the
// content. The output is committed, so that running the server needs no Node.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

const here = dirname(fileURLToPath(import.meta.url));

/** Every file a page may name, by its stable name; the pages of a new part add theirs here. */
const ENTRIES = {
  base: join(here, "src/styles/base.css"),
  checkout: join(here, "src/styles/checkout.css"),
  console: join(here, "src/dashboard/console.ts"),
  dashboard: join(here, "src/styles/dashboard.css"),
  frame: join(here, "src/embed/frame.ts"),
  gstable: join(here, "src/embed/gstable.ts"),
  link: join(here, "src/checkout/link.ts"),
  ownership: join(here, "src/dashboard/ownership.ts"),
  passkey: join(here, "src/dashboard/passkey.ts"),
  pay: join(here, "src/checkout/pay.ts"),
  receipt: join(here, "src/styles/receipt.css"),
  refund: join(here, "src/dashboard/refund.ts"),
  walletconnect: join(here, "src/checkout/walletconnect.ts"),
};

/** What `web/base.py` serves, and nothing else: stable name -> file and its SHA-384. */
function manifest() {
  return {
    name: "gstable-manifest",
    writeBundle(options, bundle) {
      const rows = Object.values(bundle).map((output) => {
        const content = output.type === "chunk" ? output.code : output.source;
        const name = output.type === "chunk" ? `${output.name}.js` : output.names[0];
        const digest = createHash("sha384").update(content).digest("base64");
        return [name, { file: output.fileName, integrity: `sha384-${digest}` }];
      });
      rows.sort(([left], [right]) => (left < right ? -1 : 1));
      mkdirSync(options.dir, { recursive: true });
      const text = JSON.stringify(Object.fromEntries(rows), null, 2);
      writeFileSync(join(options.dir, "manifest.json"), `${text}\n`);
    },
  };
}

export default defineConfig({
  root: here,
  logLevel: "warn",
  publicDir: false,
  plugins: [manifest()],
  build: {
    outDir: join(here, "../server/src/gstable_server/web/static"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: ENTRIES,
      preserveEntrySignatures: "strict",
      output: {
        entryFileNames: "[name]-[hash].js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
        // What several pages share, under one name: a page that imports it must also preload it,
        // because only so is its hash checked by the browser.
        codeSplitting: {
          groups: [
            // What connects other wallets, and all its packages: one file, loaded on demand.
            { name: "walletconnect-library", test: /node_modules|preload-helper/, priority: 1 },
            { name: "wallet", minShareCount: 2 },
          ],
        },
      },
    },
  },
});
