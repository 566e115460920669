// What wasm-bindgen makes of `edge/browser/src/lib.rs`.
import type { Answer, Item } from "./types.js";

export default function init(options: { module_or_path: Response | BufferSource }): Promise<unknown>;

export class Scorer {
  constructor(blobs: Uint8Array, lengths: Uint32Array);
  tell(visitor: string | undefined, device: string | undefined, clock: (zone?: string) => number): void;
  recommend(query: string, recents: string, now: number): Answer;
  similar(id: string, query: string, now: number): Answer;
  popular(query: string, now: number): Answer;
  item(id: string): Item | undefined;
  free(): void;
}
