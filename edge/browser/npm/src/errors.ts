/** The edge rejected a request, or there is no answer and no fallback. */
export class VergeError extends Error {
  override readonly name = "VergeError";

  constructor(
    /** The kind of problem. */
    title: string,
    /** The HTTP status; 0 without a response. */
    readonly status: number = 0,
    /** What is wrong, and what to do. */
    readonly detail: string = "",
    /** The invalid parameter. */
    readonly field?: string,
  ) {
    super(title);
  }
}
