/** Keccak-256 as Ethereum uses it, on and to hexadecimal text without `0x`. */

const LANES = 25;
const RATE_BYTES = 136;
const ROUNDS = 24;
const MASK = (1n << 64n) - 1n;

export function keccak256(hex: string): string {
  const padded = pad(hex);
  let state = new Array<bigint>(LANES).fill(0n);
  for (let at = 0; at < padded.length; at += RATE_BYTES) {
    for (let lane = 0; lane < RATE_BYTES / 8; lane += 1) {
      state[lane] = get(state, lane) ^ littleEndian(padded.slice(at + lane * 8, at + lane * 8 + 8));
    }
    state = permute(state);
  }
  return state.slice(0, 4).map(laneToHex).join("");
}

/** The bytes of plain text as hexadecimal. */
export function textToHex(text: string): string {
  return [...new TextEncoder().encode(text)].map(byteToHex).join("");
}

function pad(hex: string): number[] {
  const bytes = (hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  const length = (Math.floor(bytes.length / RATE_BYTES) + 1) * RATE_BYTES;
  const padded = [...bytes, ...new Array<number>(length - bytes.length).fill(0)];
  padded[bytes.length] = 0x01;
  padded[length - 1] = (padded[length - 1] ?? 0) | 0x80;
  return padded;
}

function permute(start: bigint[]): bigint[] {
  let lanes = start;
  let register = 1;
  for (let round = 0; round < ROUNDS; round += 1) {
    const parity = [0, 1, 2, 3, 4].map((x) =>
      [0, 5, 10, 15, 20].reduce((sum, row) => sum ^ get(lanes, x + row), 0n),
    );
    lanes = lanes.map(
      (lane, at) => lane ^ get(parity, (at + 4) % 5) ^ rotate(get(parity, (at + 1) % 5), 1),
    );
    const moved = [...lanes];
    for (let turn = 0, x = 1, y = 0; turn < 24; turn += 1) {
      const [nextX, nextY] = [y, (2 * x + 3 * y) % 5];
      moved[nextX + 5 * nextY] = rotate(get(lanes, x + 5 * y), ((turn + 1) * (turn + 2)) / 2);
      [x, y] = [nextX, nextY];
    }
    lanes = moved.map((lane, at) => {
      const row = at - (at % 5);
      return lane ^ (~get(moved, row + ((at + 1) % 5)) & MASK & get(moved, row + ((at + 2) % 5)));
    });
    for (let bit = 0; bit < 7; bit += 1) {
      if (register & 1) lanes[0] = get(lanes, 0) ^ (1n << BigInt(2 ** bit - 1));
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
  }
  return lanes;
}

function get(lanes: readonly bigint[], at: number): bigint {
  return lanes[at] ?? 0n;
}

function rotate(lane: bigint, by: number): bigint {
  const bits = BigInt(by % 64);
  return ((lane << bits) | (lane >> (64n - bits))) & MASK;
}

function littleEndian(bytes: number[]): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function laneToHex(lane: bigint): string {
  const bytes = [0n, 8n, 16n, 24n, 32n, 40n, 48n, 56n].map((shift) => (lane >> shift) & 0xffn);
  return bytes.map((byte) => byteToHex(Number(byte))).join("");
}

function byteToHex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
