/** Who signed: the account of an ECDSA signature on the curve secp256k1 (SEC 1, 4.1.6). Only ever
 * checks what is public, so that nothing depends on how long it takes. */

import { addressOf } from "./abi";
import { keccak256 } from "./keccak";

type Point = readonly [bigint, bigint] | null;

const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G: Point = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
];

/** The account that signed `digest` with r, s and v (65 bytes, without `0x`); null if nobody. */
export function signerOf(digest: string, signature: string): string | null {
  const part = (at: number): bigint => BigInt(`0x${signature.slice(at, at + 64)}`);
  const [r, s] = [part(0), part(64)];
  const v = parseInt(signature.slice(128), 16);
  if (r === 0n || r >= N || s === 0n || s >= N || (v !== 27 && v !== 28)) return null;
  const square = mod(r ** 3n + 7n, P);
  const root = power(square, (P + 1n) / 4n);
  if (mod(root * root, P) !== square) return null;
  const nonce: Point = [r, Number(root & 1n) === v - 27 ? root : P - root];
  const inverse = inverseOf(r, N);
  const key = add(
    times(nonce, mod(s * inverse, N)),
    times(G, mod(-BigInt(digest) * inverse, N)),
  );
  if (key === null) return null;
  return addressOf(keccak256(key.map((part) => part.toString(16).padStart(64, "0")).join("")));
}

function times(point: Point, by: bigint): Point {
  let [sum, doubled]: [Point, Point] = [null, point];
  for (let rest = by; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, doubled);
    doubled = add(doubled, doubled);
  }
  return sum;
}

function add(left: Point, right: Point): Point {
  if (left === null || right === null) return left ?? right;
  const [[x1, y1], [x2, y2]] = [left, right];
  if (x1 === x2 && y1 !== y2) return null;
  const slope =
    x1 === x2 ? 3n * x1 * x1 * inverseOf(2n * y1, P) : (y2 - y1) * inverseOf(mod(x2 - x1, P), P);
  const x = mod(slope * slope - x1 - x2, P);
  return [x, mod(slope * (x1 - x) - y1, P)];
}

/** By Euclid's algorithm. */
function inverseOf(value: bigint, modulus: bigint): bigint {
  let [low, high, x, y] = [mod(value, modulus), modulus, 1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high, x, y] = [high - quotient * low, low, y - quotient * x, x];
  }
  return mod(x, modulus);
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square, P);
    square = mod(square * square, P);
  }
  return result;
}

function mod(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}
