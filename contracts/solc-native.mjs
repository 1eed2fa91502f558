// The command line of a native `solc`, as far as forge uses it, on top of the npm compiler:
// `--version`, and `--standard-json` with the input on standard input or in a file. So tests and
// artifacts come from the one compiler that the lock file pins, and nothing is downloaded.
import { readFileSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import solc from "solc";

const OPTIONS_WITH_VALUE = ["--base-path", "--include-path", "--allow-paths"];

/** Split arguments into options (each with its values) and bare words. */
function parse(words) {
  const options = new Map();
  const bare = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index];
    if (!word.startsWith("-")) bare.push(word);
    else if (OPTIONS_WITH_VALUE.includes(word)) {
      index += 1;
      options.set(word, [...(options.get(word) ?? []), words[index]]);
    } else options.set(word, []);
  }
  return { options, bare };
}

/** A reader of imports that were not given as sources: base path first, then include paths. */
function importReader(options) {
  const bases = options.get("--base-path") ?? [process.cwd()];
  const folders = [...bases, ...(options.get("--include-path") ?? []), "/"];
  return (path) => {
    for (const folder of folders) {
      try {
        return { contents: readFileSync(resolve(folder, path), "utf8") };
      } catch (error) {
        if (error.code !== "ENOENT" && error.code !== "EISDIR") throw error;
      }
    }
    return { error: `${path} was not found in ${folders.join(", ")}` };
  };
}

/** Write all bytes to standard output; a full pipe answers EAGAIN and is tried again. */
function writeOut(text) {
  const bytes = Buffer.from(text);
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(1, bytes, offset);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

const { options, bare } = parse(process.argv.slice(2));
if (options.has("--version")) {
  // forge reads the version from a line in the native compiler's form.
  const version = solc.version().replace("Emscripten.clang", "Linux.g++");
  writeOut(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (options.has("--standard-json")) {
  const input = readFileSync(bare[0] ?? 0, "utf8");
  writeOut(solc.compile(input, { import: importReader(options) }));
} else {
  console.error(`solc-wrap knows --version and --standard-json, not: ${process.argv.slice(2)}`);
  process.exitCode = 1;
}
