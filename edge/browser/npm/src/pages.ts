import type { Answer } from "./types.js";

/**
 * Iterates over the pages of a list:
 *
 * ```js
 * for await (const { items } of pages((cursor) => client.popular({ limit: 24, cursor }))) …
 * ```
 * No item is repeated, even if the edge fails in between.
 */
export async function* pages(ask: (cursor: string | null) => Promise<Answer>): AsyncGenerator<Answer, void> {
  for (let cursor: string | null = null; ; ) {
    const answer: Answer = await ask(cursor);
    yield answer;
    cursor = answer.next;
    if (cursor === null) return;
  }
}
