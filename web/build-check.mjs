// Fails unless the committed build is what the sources give: `npm run build:check`.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const committed = join(here, "../server/src/gstable_server/web/static");
const fresh = mkdtempSync(join(tmpdir(), "gstable-web-"));

function filesOf(directory) {
  return new Map(
    readdirSync(directory).sort().map((name) => [name, readFileSync(join(directory, name))]),
  );
}

try {
  await build({ configFile: join(here, "vite.config.mjs"), build: { outDir: fresh } });
  const [kept, made] = [filesOf(committed), filesOf(fresh)];
  const names = [...new Set([...kept.keys(), ...made.keys()])].sort();
  const differing = names.filter((name) => !kept.get(name)?.equals(made.get(name) ?? Buffer.of()));
  if (differing.length > 0) {
    console.error(`web/static is not what web/ builds: ${differing.join(", ")}`);
    console.error("run `npm run build` and commit the result");
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
