// The module that wasm-bindgen generates from `edge/browser/src/lib.rs`. Answers are JSON.

export default function init(options: { module_or_path: Response | BufferSource }): Promise<unknown>;

export class Scorer {
  constructor(blobs: Uint8Array, lengths: Uint32Array);
  tell(visitor: string | undefined, device: string): void;
  recommend(query: string, recents: string, now: number): string;
  similar(id: string, query: string, now: number): string;
  popular(query: string, now: number): string;
  item(id: string, now: number): string;
  free(): void;
}
