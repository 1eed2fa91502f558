/** Call data as contracts read it (Solidity's contract ABI), as hexadecimal text. */

import { keccak256, textToHex } from "./keccak";

/** One word of 32 bytes, or bytes of any length, which stand behind the words. */
export type Argument = string | { tail: string };

const WORD = 64;

/** An address, 32 bytes or a number as one word. */
export function word(value: string | bigint): string {
  const digits = typeof value === "string" ? value.slice(2).toLowerCase() : value.toString(16);
  return digits.padStart(WORD, "0");
}

/** Bytes, given without `0x`, with their length before them. */
export function bytes(hex: string): Argument {
  const padded = hex.padEnd(Math.ceil(hex.length / WORD) * WORD, "0");
  return { tail: word(BigInt(hex.length / 2)) + padded };
}

export function encode(parts: readonly Argument[]): string {
  let behind = "";
  const head = parts.map((part) => {
    if (typeof part === "string") return part;
    const offset = word(BigInt((parts.length * WORD + behind.length) / 2));
    behind += part.tail;
    return offset;
  });
  return head.join("") + behind;
}

/** The 20 bytes at the end of a word, with the upper and lower case that proves them (EIP-55). */
export function addressOf(word: string): string {
  const digits = word.slice(-40).toLowerCase();
  const proof = keccak256(textToHex(digits));
  const cased = (digit: string, at: number): string =>
    parseInt(proof.charAt(at), 16) > 7 ? digit.toUpperCase() : digit;
  return `0x${digits.replace(/./g, cased)}`;
}
