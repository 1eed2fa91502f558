// The conformance package imports fs.globSync, which Node has from 22 on, for a command that tests
// servers never use. On an older Node this lets it load; its scenarios are not touched.
import * as fs from "node:fs";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

const SOURCE =
  'export * from "node:fs"; export { default } from "node:fs"; export const globSync = undefined;';
const FS = { url: `data:text/javascript,${encodeURIComponent(SOURCE)}`, shortCircuit: true };

if (isMainThread && !("globSync" in fs)) register(import.meta.url);

export function resolve(specifier, context, next) {
  return specifier === "fs" ? FS : next(specifier, context);
}
