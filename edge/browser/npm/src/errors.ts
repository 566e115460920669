/** A request that the edge refuses, or that gave no answer where there is nothing to fall back to. */
export class VergeError extends Error {
  override readonly name = "VergeError";

  constructor(
    /** What kind of problem it is, the same text each time. */
    title: string,
    /** The HTTP status; 0 where there was no answer at all. */
    readonly status: number = 0,
    /** What is wrong here, and what to do. */
    readonly detail: string = "",
    /** The parameter at fault. */
    readonly field?: string,
  ) {
    super(title);
  }
}
