import type { Answer } from "./types.js";

/**
 * The pages of a list, one after another, until there is none left or the loop ends:
 *
 * ```js
 * for await (const { items } of pages((cursor) => client.popular({ limit: 24, cursor }))) …
 * ```
 * No item comes twice, also where the edge gives out on the way.
 */
export async function* pages(ask: (cursor: string | null) => Promise<Answer>): AsyncGenerator<Answer, void> {
  for (let cursor: string | null = null; ; ) {
    const answer: Answer = await ask(cursor);
    yield answer;
    cursor = answer.next;
    if (cursor === null) return;
  }
}
